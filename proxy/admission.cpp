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
  const auto count = [](const auto& all, const auto& name) {
    const auto found = all.find(name);
    return found == all.end() ? 0u : found->second;
  };
  if (full(count(by_database_, database), database_limit)) return refusal::too_many_for_database;
  if (full(count(by_user_, user), user_limit)) return refusal::too_many_for_user;
  // In transaction mode the size is no bound of clients.
  const bool bounded = entry != nullptr && entry->pool.size && entry->pool.mode == config::pool_mode::session;
  if (bounded && count(by_pool_, std::pair(database, user)) >= *entry->pool.size) return refusal::pool_full;
  const counted where{by_database_.try_emplace(database).first, by_user_.try_emplace(user).first,
                      by_pool_.try_emplace({database, user}).first};
  place taken(nullptr, [this, where](void*) { leave(where); });
  ++total_;
  ++where.database->second;
  ++where.user->second;
  ++where.pool->second;
  return taken;
}

admission::place admission::enter_by_right() {
  const std::lock_guard lock(mutex_);
  ++total_;
  return {this, [](admission* from) {
            const std::lock_guard held(from->mutex_);
            --from->total_;
          }};
}

void admission::leave(counted where) {
  const std::lock_guard lock(mutex_);
  --total_;
  if (--where.database->second == 0) by_database_.erase(where.database);
  if (--where.user->second == 0) by_user_.erase(where.user);
  if (--where.pool->second == 0) by_pool_.erase(where.pool);
}

std::vector<std::string> admission::databases() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  names.reserve(by_database_.size());
  for (const auto& [name, clients] : by_database_) names.push_back(name);
  return names;
}

unsigned admission::clients() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace tidegate
