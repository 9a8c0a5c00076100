// ALTER CONSTRAINT is instant, under ACCESS EXCLUSIVE, and changes when errors come.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& alter_constraint_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::alter_constraint) continue;
    finding f = finding_on(alter_constraint_rule(), table, command);
    f.constraint = command.name;
    f.message = "changing when constraint " + sql::quote_identifier(command.name) + " of " + table.sql +
                " is checked";
    f.detail =
        lock_in_words(f.lock, table) + " for a moment; a deferred constraint reports its errors at COMMIT.";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_constraint_rule() {
  static constexpr rule r{"alter-constraint",
                          "a constraint that becomes deferred reports its errors at COMMIT", hazard::instant,
                          verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
