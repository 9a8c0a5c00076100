#include "policies/catalog.hpp"

#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

namespace {

template <class Range>
auto find_named(const Range& range, std::string_view name) -> decltype(range.data()) {
  const auto it =
      std::find_if(range.begin(), range.end(), [&](const auto& item) { return item.name == name; });
  return it == range.end() ? nullptr : &*it;
}

template <class Map, class Key>
auto look_up(const Map& map, const Key& key) -> lookup<typename Map::mapped_type::value_type> {
  const auto it = map.find(key);
  if (it == map.end()) return {};
  if (!it->second) return {presence::missing, nullptr};
  return {presence::known, &*it->second};
}

}  // namespace

const column_facts* relation_facts::column(std::string_view column_name) const {
  return find_named(columns, column_name);
}

const constraint_facts* relation_facts::constraint(std::string_view constraint_name) const {
  return find_named(constraints, constraint_name);
}

const index_facts* relation_facts::index(std::string_view index_name) const {
  return find_named(indexes, index_name);
}

std::string relation_facts::full_name() const {
  return sql::quote_name({.database = {}, .schema = schema, .name = name});
}

void catalog_snapshot::bind_relation(const sql::qualified_name& written,
                                     std::optional<relation_facts> facts) {
  relations_[{written.schema, written.name}] = std::move(facts);
}

void catalog_snapshot::bind_type(const sql::type_name& written, std::optional<type_facts> facts) {
  types_[{written.schema, written.name}] = std::move(facts);
}

void catalog_snapshot::bind_function(const sql::function_call& written, std::optional<function_facts> facts) {
  functions_[{{written.schema, written.name}, written.arguments}] = std::move(facts);
}

void catalog_snapshot::forget_relation(const sql::qualified_name& written) {
  relations_.erase({written.schema, written.name});
}

void catalog_snapshot::forget_unqualified() {
  std::erase_if(relations_, [](const auto& each) { return each.first.first.empty(); });
  std::erase_if(types_, [](const auto& each) {
    return each.first.first.empty() && !(each.second && each.second->schema == "pg_catalog");
  });
  std::erase_if(functions_, [](const auto& each) {
    return each.first.first.first.empty() && !(each.second && each.second->schema == "pg_catalog");
  });
  search_path.clear();
}

lookup<relation_facts> catalog_snapshot::relation(const sql::qualified_name& written) const {
  return look_up(relations_, name_key{written.schema, written.name});
}

lookup<type_facts> catalog_snapshot::type(const sql::type_name& written) const {
  return look_up(types_, name_key{written.schema, written.name});
}

lookup<function_facts> catalog_snapshot::function(const sql::function_call& written) const {
  return look_up(functions_, std::pair{name_key{written.schema, written.name}, written.arguments});
}

lookup<relation_facts> catalog_snapshot::relation_by_full_name(std::string_view full_name) const {
  for (const auto& [written, facts] : relations_)
    if (facts && facts->full_name() == full_name) return {presence::known, &*facts};
  return {};
}

}  // namespace tidegate::policies
