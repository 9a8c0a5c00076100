#include "policies/statement_parts.hpp"

#include <utility>

namespace tidegate::policies {

std::vector<statement_part> parts_of(const sql::statement& whole) {
  std::vector<statement_part> parts;
  std::vector<statement_part> open{{.statement = &whole, .schema = {}}};
  const auto open_all = [&](const std::vector<sql::statement>& nested, const statement_part& around) {
    for (auto it = nested.rbegin(); it != nested.rend(); ++it) {
      open.push_back(around);
      open.back().statement = &*it;
    }
  };
  while (!open.empty()) {
    statement_part part = std::move(open.back());
    open.pop_back();
    parts.push_back(part);
    if (const auto* block = part.statement->as<sql::do_block>()) {
      part.in_block = true;
      open_all(block->statements, part);
    } else if (const auto* schema = part.statement->as<sql::create_schema>()) {
      part.schema = schema->name;
      open_all(schema->elements, part);
    } else if (const auto* explain = part.statement->as<sql::explain>()) {
      if (!explain->analyze || !explain->body) continue;
      part.statement = explain->body.get();
      open.push_back(part);
    } else if (const auto* prepare = part.statement->as<sql::prepare>()) {
      if (!prepare->body) continue;
      part.statement = prepare->body.get();
      part.runs = false;
      open.push_back(part);
    }
  }
  return parts;
}

sql::qualified_name qualify(sql::qualified_name name, const std::string& schema) {
  if (name.schema.empty()) name.schema = schema;
  return name;
}

bool only_adds(const sql::statement& statement) {
  return statement.as<sql::create_table>() != nullptr || statement.as<sql::create_table_as>() != nullptr ||
         statement.as<sql::create_index>() != nullptr ||
         statement.as<sql::refresh_materialized_view>() != nullptr ||
         statement.as<sql::reindex>() != nullptr || statement.as<sql::truncate>() != nullptr;
}

}  // namespace tidegate::policies
