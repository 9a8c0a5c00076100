#include "policies/event_triggers.hpp"

namespace tidegate::policies {

bool may_fire_event_triggers(const sql::statement& statement) {
  return statement.ddl && statement.as<sql::lock_table>() == nullptr &&
         statement.as<sql::vacuum>() == nullptr && statement.as<sql::cluster>() == nullptr &&
         statement.as<sql::alter_system>() == nullptr;
}

bool may_run_unseen_ddl(const sql::statement& statement) {
  if (const auto* block = statement.as<sql::do_block>()) return block->has_dynamic_sql || block->opaque;
  if (const auto* other = statement.as<sql::other_statement>()) return other->node == "FetchStmt";
  return statement.as<sql::query>() != nullptr || statement.as<sql::copy>() != nullptr ||
         statement.as<sql::truncate>() != nullptr || statement.as<sql::call>() != nullptr ||
         statement.as<sql::execute>() != nullptr || statement.as<sql::explain>() != nullptr ||
         statement.as<sql::create_table_as>() != nullptr;
}

}  // namespace tidegate::policies
