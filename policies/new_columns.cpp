#include "policies/new_columns.hpp"

#include <algorithm>

namespace tidegate::policies {
namespace {

bool is_only_key_column(const sql::create_table& table, const sql::column_definition& column) {
  if (column.find(sql::constraint_kind::primary_key)) return true;
  return std::any_of(table.constraints.begin(), table.constraints.end(), [&](const auto& constraint) {
    return constraint.kind == sql::constraint_kind::primary_key && constraint.columns.size() == 1 &&
           constraint.columns.front() == column.name;
  });
}

}  // namespace

std::vector<new_column> new_columns(const rule_input& input) {
  std::vector<new_column> found;
  if (const auto* create = input.statement.as<sql::create_table>()) {
    const subject table = subject_of(input, create->relation);
    const bool temporary = create->temporary || create->relation.schema == "pg_temp";
    if (temporary || create->foreign || (create->if_not_exists && table.facts)) return found;
    for (const auto& column : create->columns)
      found.push_back({table, &column, is_only_key_column(*create, column), true});
    return found;
  }
  for (const auto& added : added_columns(input)) {
    if (added.table.facts && added.table.facts->persistence == 't') continue;
    const auto& column = *added.command->column;
    found.push_back({added.table, &column, column.find(sql::constraint_kind::primary_key) != nullptr, false});
  }
  return found;
}

}  // namespace tidegate::policies
