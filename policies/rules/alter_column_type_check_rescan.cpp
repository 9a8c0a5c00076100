// A type change that keeps the rows, on a column that a valid CHECK mentions: the CHECK is made again and the
// whole table is read under ACCESS EXCLUSIVE.
#include "policies/altered_type.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& alter_column_type_check_rescan_rule();

namespace {

bool dropped_here(const sql::alter_table& alter, const std::string& constraint) {
  return std::any_of(alter.commands.begin(), alter.commands.end(), [&](const sql::alter_command& command) {
    return command.action == sql::alter_action::drop_constraint && command.name == constraint;
  });
}

std::vector<std::string> steps_around(const rule_input& input, const altered& command,
                                      const std::vector<const constraint_facts*>& checks) {
  const std::string alter = "ALTER TABLE " + command.table.sql + " ";
  const auto range = command.command->range;
  const auto length = static_cast<std::size_t>(std::max(0, range.end - range.begin));
  std::string drop = "BEGIN; ", again;
  std::vector<std::string> validate;
  for (const auto* check : checks) {
    const std::string name = sql::quote_identifier(check->name);
    drop += alter + "DROP CONSTRAINT " + name + "; ";
    again += alter + "ADD CONSTRAINT " + name + " CHECK (" + check->expression + ") NOT VALID; ";
    validate.push_back(alter + "VALIDATE CONSTRAINT " + name + ";");
  }
  std::vector<std::string> steps{
      drop + alter +
      std::string(input.text.substr(static_cast<std::size_t>(std::max(0, range.begin)), length)) + "; " +
      again + "COMMIT;"};
  steps.insert(steps.end(), validate.begin(), validate.end());
  return steps;
}

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    const auto& command = altered.command;
    if (altered.change.rewrites || !command.column) continue;
    std::vector<const constraint_facts*> checks;
    for (const auto& constraint : command.table.facts->constraints) {
      const auto& columns = constraint.columns;
      const bool mentioned =
          std::find(columns.begin(), columns.end(), command.command->name) != columns.end();
      if (constraint.kind == 'c' && mentioned && constraint.validated && constraint.enforced &&
          !dropped_here(*command.statement, constraint.name))
        checks.push_back(&constraint);
    }
    if (checks.empty()) continue;
    finding f = finding_on(alter_column_type_check_rescan_rule(), command);
    f.message = "changing the type of " + altered.column_in_words() + " scans " + command.table.sql +
                " for its CHECK " + sql::quote_identifier(checks[0]->name);
    f.detail = detail_of(f.lock, command.table, "every row is checked again");
    f.constraint = checks[0]->name;
    advise(f, steps_around(input, command, checks));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_check_rescan_rule() {
  static constexpr rule r{"alter-column-type-check-rescan",
                          "a type change checks every CHECK on the column again", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
