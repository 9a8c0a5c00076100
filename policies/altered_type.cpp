#include "policies/altered_type.hpp"

namespace tidegate::policies {

std::string altered_type::column_in_words() const {
  return command.table.sql + "." + command.column_sql();
}

std::vector<altered_type> altered_types(const rule_input& input) {
  std::vector<altered_type> out;
  for (auto& command : altered_columns(input, sql::alter_action::alter_type)) {
    if (command.statement->kind == sql::object_kind::foreign_table || command.table.is('f') ||
        !command.command->column)
      continue;
    altered_type altered{command, {}};
    altered.change = change_of(*command.command, command.column, input.catalog, altered.column_in_words());
    out.push_back(std::move(altered));
  }
  return out;
}

}  // namespace tidegate::policies
