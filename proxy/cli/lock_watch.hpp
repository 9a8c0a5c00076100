#pragma once
// Which table locks a session holds, and for how long: looked at every few milliseconds on a connection of
// its own. What is held for less may be missed. On the thread of its executor.

#include "proxy/control/pg_connection.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

struct held_lock {
  std::string relation;                 // "schema.name", quoted where it needs it
  std::string mode;                     // as pg_locks names it: "AccessExclusiveLock"
  std::chrono::milliseconds held{0};    // so far
  std::chrono::milliseconds waited{0};  // before it was granted
};

class lock_watch {
 public:
  static constexpr std::chrono::milliseconds period{5};

  // `connection` is connected and nobody else's as long as run() goes on.
  lock_watch(boost::asio::any_io_executor executor, control::pg_connection& connection, std::int32_t pid)
      : executor_(std::move(executor)), connection_(connection), pid_(pid) {}

  // Until stop(). What the connection refuses ends it too: then nothing more is seen.
  boost::asio::awaitable<void> run();
  void stop() { stopping_ = true; }
  // Completed looks, so that a caller can wait for one that began later than now.
  std::uint64_t looks() const { return looks_; }

  // The locks seen since the last call, those that are still held too. ACCESS SHARE to ROW EXCLUSIVE are left
  // out: applications take them all the time.
  std::vector<held_lock> take();

 private:
  using clock = std::chrono::steady_clock;
  struct seen {
    clock::time_point waits_since{}, held_since{}, last{};
    bool granted = false, waiting = false, held_now = false;
  };
  void note(const control::text_rows& rows, clock::time_point now);

  boost::asio::any_io_executor executor_;
  control::pg_connection& connection_;
  std::int32_t pid_;
  std::map<std::pair<std::string, std::string>, seen> locks_;
  std::uint64_t looks_ = 0;
  bool stopping_ = false;
};

}  // namespace tidegate::cli
