// SET NOT NULL reads the whole table unless a valid CHECK proves it (12+). The proof must outlive the
// statement's earlier passes: dropped or only validated in the same ALTER it comes too late (hazards §0.4).
#include "policies/remedy.hpp"
#include "policies/sql/parse.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& set_not_null_scan_rule();

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// By DROP CONSTRAINT, or with a column it mentions.
bool dropped_here(const sql::alter_table& alter, const constraint_facts& constraint) {
  return std::any_of(alter.commands.begin(), alter.commands.end(), [&](const sql::alter_command& command) {
    return (command.action == sql::alter_action::drop_constraint && command.name == constraint.name) ||
           (command.action == sql::alter_action::drop_column && contains(constraint.columns, command.name));
  });
}

bool proves(const constraint_facts& constraint, const std::string& column) {
  if (constraint.kind != 'c' || !constraint.validated || !constraint.enforced) return false;
  const auto expression = sql::parse_expression(constraint.expression);
  return expression && contains(expression->proves_not_null, column);
}

bool is_proven(const altered& command, int server_version) {
  const auto& constraints = command.table.facts->constraints;
  const std::string& column = command.command->name;
  if (server_version < 120000) return false;
  return std::any_of(constraints.begin(), constraints.end(), [&](const constraint_facts& constraint) {
    return !dropped_here(*command.statement, constraint) && proves(constraint, column);
  });
}

// NOT NULL already, and not by a constraint that waits for its validation (18).
bool is_not_null(const altered& command) {
  if (!command.column || !command.column->not_null) return false;
  const auto& constraints = command.table.facts->constraints;
  return std::none_of(constraints.begin(), constraints.end(), [&](const constraint_facts& constraint) {
    return constraint.kind == 'n' && !constraint.validated &&
           contains(constraint.columns, command.command->name);
  });
}

void check(const rule_input& input, findings& out) {
  for (const auto& command : altered_columns(input, sql::alter_action::set_not_null)) {
    if (command.table.is('f') || is_not_null(command)) continue;
    if (command.column && is_proven(command, input.catalog.server_version)) continue;
    finding f = finding_on(set_not_null_scan_rule(), command);
    f.message = "SET NOT NULL on column " + command.column_sql() + " scans " + command.table.sql;
    f.detail = detail_of(f.lock, command.table, "every row is checked");
    if (!command.column)
      f.lacked_fact = "whether " + command.table.sql + "." + command.column_sql() +
                      " is NOT NULL already, or a valid CHECK proves it";
    advise(f, set_not_null_steps(command.table, command.command->name, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& set_not_null_scan_rule() {
  static constexpr rule r{"set-not-null-scan", "SET NOT NULL scans the table unless a valid CHECK proves it",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
