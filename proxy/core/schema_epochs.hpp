#pragma once
// How often the schema of each database is known to have changed: by a schema change that went through this
// gateway, or by a server that said so of a prepared statement. Whoever remembers something that depends on
// the schema remembers the epoch with it.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tidegate::core {

// Of one database. Any thread.
class schema_epoch {
 public:
  std::uint64_t now() const { return value_.load(std::memory_order_acquire); }
  void changed() { value_.fetch_add(1, std::memory_order_release); }
  // A server has said so. What changed elsewhere makes many say it at about the same time.
  void noticed(std::chrono::steady_clock::time_point when);

 private:
  std::atomic<std::uint64_t> value_{1};
  std::atomic<std::chrono::steady_clock::rep> noticed_{0};
};
using schema_epoch_ptr = std::shared_ptr<schema_epoch>;

// All that somebody uses. Any thread; asked at logins only.
class schema_epochs {
 public:
  // `database`: whatever tells servers and databases apart.
  schema_epoch_ptr of(const std::string& database);

 private:
  std::mutex guard_;
  std::map<std::string, std::weak_ptr<schema_epoch>> by_database_;
  std::size_t sweep_at_ = 64;
};

}  // namespace tidegate::core
