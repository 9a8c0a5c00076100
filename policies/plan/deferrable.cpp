#include "policies/plan/deferrable.hpp"

#include <algorithm>

namespace tidegate::policies {

bool is_deferrable(const sql::statement& statement) {
  if (const auto* index = statement.as<sql::create_index>()) return !index->concurrently;
  const auto* alter = statement.as<sql::alter_table>();
  if (alter == nullptr || alter->kind != sql::object_kind::table || alter->commands.empty()) return false;
  return std::all_of(alter->commands.begin(), alter->commands.end(), [](const sql::alter_command& command) {
    return command.action == sql::alter_action::add_constraint ||
           command.action == sql::alter_action::validate_constraint ||
           command.action == sql::alter_action::set_not_null;
  });
}

}  // namespace tidegate::policies
