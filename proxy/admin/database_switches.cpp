#include "proxy/admin/database_switches.hpp"

#include <utility>

namespace tidegate::admin {

void database_switches::note() {
  any_.store(!paused_.empty() || !disabled_.empty(), std::memory_order_relaxed);
}

bool database_switches::pause(const std::string& database) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = paused_.try_emplace(database);
  if (is_new) place->second = gate_.close_database(database);
  note();
  return is_new;
}

bool database_switches::resume(const std::string& database) {
  // Opened without the lock: whoever is woken may ask.
  std::map<std::string, core::gate::closure, std::less<>> lifted;
  {
    const std::lock_guard lock(mutex_);
    if (database.empty()) {
      lifted = std::exchange(paused_, {});
    } else if (auto found = paused_.extract(database)) {
      lifted.insert(std::move(found));
    }
    note();
  }
  return !lifted.empty();
}

bool database_switches::disable(const std::string& database) {
  const std::lock_guard lock(mutex_);
  const bool is_new = disabled_.insert(database).second;
  note();
  return is_new;
}

bool database_switches::enable(const std::string& database) {
  const std::lock_guard lock(mutex_);
  const bool was = disabled_.erase(database) != 0;
  note();
  return was;
}

bool database_switches::is_paused(std::string_view database) const {
  const std::lock_guard lock(mutex_);
  return paused_.contains(std::string_view()) || paused_.contains(database);
}

bool database_switches::is_disabled(std::string_view database) const {
  const std::lock_guard lock(mutex_);
  return disabled_.contains(database);
}

}  // namespace tidegate::admin
