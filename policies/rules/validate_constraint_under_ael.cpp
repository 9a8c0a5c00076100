// VALIDATE alone lets reads and writes go on. Next to a subcommand that needs more, or behind one in the same
// transaction, it scans under that lock.
#include "policies/locks.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& validate_constraint_under_ael_rule();

namespace {

using sql::alter_action;

// ADD … NOT VALID of this very constraint: not-valid-and-validate-one-transaction says it.
bool adds_it(const sql::alter_command& command, const std::string& constraint) {
  return command.action == alter_action::add_constraint && command.constraint &&
         command.constraint->name == constraint;
}

bool holds_strong_lock(const rule_input& input, const sql::qualified_name& relation) {
  const auto& entries = input.history.entries();
  return std::any_of(entries.begin(), entries.end(), [&](const transaction_history::entry& entry) {
    return entry.what == transaction_history::entry::kind::strong_lock && entry.relation == relation;
  });
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  for (const auto& command : statement->commands) {
    if (command.action != alter_action::validate_constraint) continue;
    lock_level strongest = lock_level::none;
    for (const auto& other : statement->commands)
      if (!adds_it(other, command.name)) strongest = std::max(strongest, lock_of(other));
    const bool earlier = holds_strong_lock(input, statement->relation) &&
                         !input.history.added_not_valid(statement->relation, command.name);
    if (!blocks_writes(strongest) && !earlier) continue;

    const subject table = subject_of(input, statement->relation);
    finding f = finding_on(validate_constraint_under_ael_rule(), table, command);
    if (blocks_writes(strongest)) f.lock = strongest;
    f.constraint = command.name;
    f.message = "validating constraint " + sql::quote_identifier(command.name) + " of " + table.sql +
                (blocks_writes(strongest) ? " together with a change that locks the table"
                                          : " in a transaction that locked the table");
    f.detail = detail_of(f.lock, table, "every row is checked");
    advise(f, {"-- the other changes, then by itself:", "ALTER TABLE " + table.sql + " VALIDATE CONSTRAINT " +
                                                            sql::quote_identifier(command.name) + ";"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& validate_constraint_under_ael_rule() {
  static constexpr rule r{"validate-constraint-under-ael",
                          "VALIDATE next to a stronger change scans under that change's lock",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
