#include "proxy/core/new_relations.hpp"

#include "policies/sql/quote.hpp"

#include <vector>

namespace tidegate::core {

void new_relations::made(std::string_view database, std::string_view schema, std::string_view name,
                         const relation_maker& by, clock::time_point until) {
  const std::lock_guard lock(mutex_);
  auto& all = databases_[std::string(database)];
  if (all.size() >= most) return;
  all.insert_or_assign(sql::quote_name({.schema = std::string(schema), .name = std::string(name)}),
                       entry{std::string(name), by, until});
  recount();
}

void new_relations::seen(std::string_view database, std::string_view text,
                         const sql::lexical_settings& lexical, const relation_maker& by) {
  const std::lock_guard lock(mutex_);
  const auto found = databases_.find(database);
  if (found == databases_.end()) return;
  std::vector<std::string_view> foreign;
  for (const auto& [full_name, e] : found->second) {
    if (e.by != by) foreign.push_back(e.name);
  }
  if (foreign.empty() || !sql::mentions_any(text, lexical, foreign)) return;
  std::erase_if(found->second, [&](const auto& item) {
    const std::string_view names[] = {item.second.name};
    return item.second.by != by && sql::mentions_any(text, lexical, names);
  });
  recount();
}

bool new_relations::is_new(std::string_view database, std::string_view full_name, const relation_maker& by,
                           clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  const auto all = databases_.find(database);
  if (all == databases_.end()) return false;
  const auto found = all->second.find(std::string(full_name));
  return found != all->second.end() && found->second.by == by && found->second.until > now;
}

void new_relations::expire(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  for (auto& [database, all] : databases_) {
    std::erase_if(all, [now](const auto& item) { return item.second.until <= now; });
  }
  std::erase_if(databases_, [](const auto& item) { return item.second.empty(); });
  recount();
}

void new_relations::recount() {
  std::size_t count = 0;
  for (const auto& [database, all] : databases_) count += all.size();
  count_.store(count, std::memory_order_relaxed);
}

}  // namespace tidegate::core
