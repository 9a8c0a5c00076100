// Schema changes of two tables in one transaction hold both locks to its end: who uses the tables in the
// other order deadlocks with it.
#include "policies/held_locks.hpp"
#include "policies/subject.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& multiple_ddl_one_transaction_rule();

namespace {

bool is_exclusive(const held_lock& lock) {
  return lock.level == lock_level::access_exclusive;
}

void check(const rule_input& input, findings& out) {
  const auto held = strongest_held(input);
  if (!held || !is_exclusive(*held)) return;
  const auto taken = newly_taken(input);
  if (taken.empty() || !is_exclusive(taken.front())) return;
  const subject table = subject_of(input, taken.front().relation);
  finding f = finding_on(multiple_ddl_one_transaction_rule(), table);
  f.relations.push_back(held->name());
  f.at = input.statement.range.begin;
  f.message = "this transaction holds ACCESS EXCLUSIVE on " + held->name() + " and takes it on " + table.sql +
              " as well";
  f.detail =
      "Both are held until it ends: whoever uses the tables in the other order deadlocks with it, and "
      "while it waits for " +
      table.sql + " everybody waits for " + held->name() + ".";
  f.steps = {"COMMIT;  -- the change of " + held->name() + " first",
             "BEGIN;  -- then the change of " + table.sql};
  f.hint = "Instead: COMMIT; before it, so that each table is changed in a transaction of its own.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& multiple_ddl_one_transaction_rule() {
  static constexpr rule r{"multiple-ddl-one-transaction",
                          "schema changes of several tables in one transaction invite deadlocks",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
