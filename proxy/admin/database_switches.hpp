#pragma once
// Which databases are paused or disabled from the admin console. A paused database takes no new login and
// starts no new statement outside a transaction until RESUME: logins wait in the worker, statements at the
// gate. A disabled one refuses new logins. Kept in memory: a new process begins without. Any thread.

#include "proxy/core/gate.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace tidegate::admin {

class database_switches {
 public:
  // The gate outlives the switches.
  explicit database_switches(core::gate& gate) : gate_(gate) {}

  // An empty name is every database. False: it was so already.
  bool pause(const std::string& database);
  // An empty name lifts every pause. False: there was none.
  bool resume(const std::string& database);
  bool disable(const std::string& database);
  bool enable(const std::string& database);

  // Whether any of the questions below can have the answer yes: one relaxed load.
  bool any() const { return any_.load(std::memory_order_relaxed); }
  bool is_paused(std::string_view database) const;
  bool is_disabled(std::string_view database) const;
  // PAUSE without a name.
  bool is_all_paused() const { return is_paused({}); }

 private:
  void note();  // under the lock

  core::gate& gate_;
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::map<std::string, core::gate::closure, std::less<>> paused_;  // "": all
  std::set<std::string, std::less<>> disabled_;
};

}  // namespace tidegate::admin
