// NOT VALID and VALIDATE in one transaction are worth nothing: the lock of the first is held over the scan of
// the second.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& not_valid_and_validate_one_transaction_rule();

namespace {

const sql::alter_command* added_here(const sql::alter_table& statement, const std::string& constraint) {
  const auto it =
      std::find_if(statement.commands.begin(), statement.commands.end(), [&](const auto& command) {
        return command.action == sql::alter_action::add_constraint && command.constraint &&
               command.constraint->not_valid && command.constraint->name == constraint;
      });
  return it == statement.commands.end() ? nullptr : &*it;
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::validate_constraint) continue;
    const auto* here = added_here(*statement, command.name);
    if (!here && !input.history.added_not_valid(statement->relation, command.name)) continue;
    const subject table = subject_of(input, statement->relation);
    finding f = finding_on(not_valid_and_validate_one_transaction_rule(), table, command);
    if (here && here->constraint->kind == sql::constraint_kind::foreign_key)
      f.lock = lock_level::share_row_exclusive;
    f.constraint = command.name;
    const std::string constraint = sql::quote_identifier(command.name);
    f.message =
        "validating constraint " + constraint + " of " + table.sql + " in the transaction that added it";
    f.detail =
        detail_of(f.lock, table, "every row is checked, for it is held since the constraint was added");
    advise(f, {"ALTER TABLE " + table.sql + " ADD CONSTRAINT " + constraint + " … NOT VALID;",
               "ALTER TABLE " + table.sql + " VALIDATE CONSTRAINT " + constraint + ";"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& not_valid_and_validate_one_transaction_rule() {
  static constexpr rule r{"not-valid-and-validate-one-transaction",
                          "a constraint validated in the transaction that adds it scans under the first lock",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
