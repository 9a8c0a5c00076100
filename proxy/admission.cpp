#include "proxy/admission.hpp"

namespace tidegate {

admission::place admission::arrive(const config::settings& settings) {
  const std::lock_guard lock(mutex_);
  if (settings.limits.max_clients != 0 && arriving_ >= settings.limits.max_clients) return nullptr;
  ++arriving_;
  // Not of nullptr: a place that was had must not look like none.
  return {this, [](admission* from) {
            const std::lock_guard held(from->mutex_);
            --from->arriving_;
          }};
}

std::variant<admission::place, admission::refusal> admission::enter(const config::settings& settings,
                                                                    const std::string& database,
                                                                    const std::string& user) {
  const auto& limits = settings.limits;
  const config::database_settings* entry = config::find_database(settings, database);
  const unsigned database_limit =
      entry != nullptr && entry->max_clients != 0 ? entry->max_clients : limits.max_clients_per_database;
  const auto own = limits.users.find(user);
  const unsigned user_limit = own != limits.users.end() ? own->second : limits.max_clients_per_user;
  const auto full = [](unsigned count, unsigned limit) { return limit != 0 && count >= limit; };

  const std::lock_guard lock(mutex_);
  if (full(total_, limits.max_clients)) return refusal::too_many_clients;
  const auto count = [](const auto& counts, const std::string& name) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0u : found->second;
  };
  if (full(count(by_database_, database), database_limit)) return refusal::too_many_for_database;
  if (full(count(by_user_, user), user_limit)) return refusal::too_many_for_user;
  const std::string pool = database + '\0' + user;
  // In transaction mode the size is no bound of clients.
  const bool bounded = entry != nullptr && entry->pool.size && entry->pool.mode == config::pool_mode::session;
  if (bounded && count(by_pool_, pool) >= *entry->pool.size) return refusal::pool_full;
  ++total_;
  ++by_pool_[pool];
  ++by_database_[database];
  ++by_user_[user];
  return place(nullptr, [this, database, user](void*) { leave(database, user); });
}

void admission::leave(const std::string& database, const std::string& user) {
  const std::lock_guard lock(mutex_);
  --total_;
  if (const auto found = by_pool_.find(database + '\0' + user); --found->second == 0) by_pool_.erase(found);
  if (const auto found = by_database_.find(database); --found->second == 0) by_database_.erase(found);
  if (const auto found = by_user_.find(user); --found->second == 0) by_user_.erase(found);
}

unsigned admission::clients() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace tidegate
