#include "proxy/pool/server_pool.hpp"

#include <utility>

namespace tidegate::pool {

void server_pool::set_terms(terms now) {
  size_.store(now.bounds.size.value_or(config::default_pool_size));
  reserve_.store(now.bounds.reserve);
  queue.set_limit(now.bounds.max_per_application);
  auto made = std::make_shared<const terms>(std::move(now));
  const std::lock_guard lock(guard_);
  terms_.swap(made);
}

std::shared_ptr<const server_pool::terms> server_pool::current() const {
  const std::lock_guard lock(guard_);
  return terms_;
}

value_set server_pool::greeting() const {
  const std::lock_guard lock(guard_);
  return greeting_;
}

void server_pool::set_greeting(value_set parameters) {
  const std::lock_guard lock(guard_);
  greeting_ = std::move(parameters);
}

bool server_pool::enter(bool with_reserve) {
  const unsigned most = size_.load() + (with_reserve ? reserve_.load() : 0);
  unsigned open = open_.load();
  while (open < most) {
    if (open_.compare_exchange_weak(open, open + 1)) return true;
  }
  return false;
}

server_pool_ptr server_pools::find_or_make(const std::string& key, const std::string& database,
                                           const std::string& user, const std::string& entry,
                                           core::schema_epoch_ptr schema) {
  const std::lock_guard lock(guard_);
  std::weak_ptr<server_pool>& slot = by_key_[key];
  if (auto known = slot.lock()) return known;
  std::erase_if(by_key_, [&key](const auto& each) { return each.first != key && each.second.expired(); });
  auto made = std::make_shared<server_pool>(database, user, entry, std::move(schema));
  by_key_[key] = made;
  return made;
}

void server_pools::set_bounds(const config::settings& settings) {
  const std::lock_guard lock(guard_);
  for (const auto& [key, weak] : by_key_) {
    const server_pool_ptr pool = weak.lock();
    if (!pool || !pool->current()) continue;
    const config::database_settings* entry = config::find_database(settings, pool->database);
    if (entry == nullptr || entry->pool.mode != config::pool_mode::transaction) continue;
    server_pool::terms now = *pool->current();
    now.bounds = entry->pool;
    now.connect_timeout = settings.timeouts.server_connect;
    pool->set_terms(std::move(now));
  }
}

}  // namespace tidegate::pool
