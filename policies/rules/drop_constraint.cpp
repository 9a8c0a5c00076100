// DROP CONSTRAINT is instant, under ACCESS EXCLUSIVE: for a foreign key on both tables.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& drop_constraint_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::drop_constraint) continue;
    const auto* constraint = table.facts ? table.facts->constraint(command.name) : nullptr;
    if (table.facts && !constraint && table.alone) continue;
    if (constraint && constraint->kind == 'p') continue;  // drop-primary-key
    finding f = finding_on(drop_constraint_rule(), table, command);
    f.constraint = command.name;
    f.message = "dropping constraint " + sql::quote_identifier(command.name) + " of " + table.sql;
    f.detail = lock_in_words(f.lock, table) + " for a moment.";
    if (constraint && constraint->kind == 'f' && !constraint->referenced.empty()) {
      f.relations.push_back(constraint->referenced);
      f.detail += " So does " + std::string(name(f.lock)) + " on " + constraint->referenced +
                  ", which the foreign key refers to.";
    }
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_constraint_rule() {
  static constexpr rule r{"drop-constraint", "a dropped foreign key locks both tables for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
