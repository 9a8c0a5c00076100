// DDL in a function runs when it is called, from a plain SELECT: nobody who looks at the call sees the lock
// it takes. What is temporary is nobody else's.
#include "policies/engine.hpp"
#include "policies/finding.hpp"
#include "policies/locks.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::policies {

const rule& function_body_ddl_rule();

namespace {

using names = std::vector<sql::qualified_name>;

bool is_in(const names& list, const sql::qualified_name& relation) {
  return relation.schema == "pg_temp" || std::find(list.begin(), list.end(), relation) != list.end();
}

names temporary_relations(const std::vector<sql::statement>& body) {
  names made;
  for (const auto& statement : body) {
    if (const auto* table = statement.as<sql::create_table>(); table && table->temporary)
      made.push_back(table->relation);
    if (const auto* table = statement.as<sql::create_table_as>(); table && table->temporary)
      made.push_back(table->relation);
    if (const auto* view = statement.as<sql::create_view>(); view && view->temporary)
      made.push_back(view->relation);
  }
  return made;
}

// Everything the statement is about was made by the body and lasts no longer than the session.
bool is_temporary(const sql::statement& statement, const names& temporary) {
  if (const auto* table = statement.as<sql::create_table>())
    return table->temporary || table->relation.schema == "pg_temp";
  if (const auto* table = statement.as<sql::create_table_as>())
    return table->temporary || table->relation.schema == "pg_temp";
  if (const auto* view = statement.as<sql::create_view>()) return view->temporary;
  const auto locks = own_locks(statement, {});
  return !locks.empty() && std::all_of(locks.begin(), locks.end(), [&](const relation_lock& lock) {
    return is_in(temporary, lock.relation);
  });
}

void check(const rule_input& input, findings& out) {
  const auto* function = input.statement.as<sql::create_function>();
  if (!function) return;
  const names temporary = temporary_relations(function->statements);
  std::vector<std::string> commands;
  for (const auto& statement : function->statements) {
    if (!statement.ddl || is_temporary(statement, temporary)) continue;
    std::string command(statement.tag);
    const auto locks = own_locks(statement, {});
    if (!locks.empty()) command += " on " + sql::quote_name(locks.front().relation);
    if (std::find(commands.begin(), commands.end(), command) == commands.end())
      commands.push_back(std::move(command));
  }
  if (commands.empty()) return;
  const std::string called = sql::quote_name(function->name) + "()";
  std::string list;
  for (const auto& command : commands) list += (list.empty() ? "" : ", ") + command;
  finding f;
  f.at = input.statement.range.begin;
  f.schema = function->name.schema;
  f.message = std::string(function->procedure ? "procedure " : "function ") + called + " runs " + list;
  f.detail = "Whoever calls it takes the locks of that, from a plain " +
             std::string(function->procedure ? "CALL" : "SELECT") +
             ": the call is neither judged nor guarded.";
  f.hint = "Instead: send the schema change itself, so that it is judged and guarded; or REVOKE EXECUTE ON " +
           std::string(function->procedure ? "PROCEDURE " : "FUNCTION ") + sql::quote_name(function->name) +
           " FROM PUBLIC;";
  out.push_back(std::move(f));
}

}  // namespace

const rule& function_body_ddl_rule() {
  static constexpr rule r{"function-body-ddl", "DDL in a function runs unseen when it is called",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
