// LOCK TABLE in SHARE mode or stronger blocks writes, by default reads too, until the transaction ends.
// Locking a view locks its tables.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& lock_table_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* lock = input.statement.as<sql::lock_table>();
  if (!lock) return;
  const auto level = static_cast<lock_level>(lock->mode);
  if (!blocks_writes(level)) return;
  for (const auto& name : lock->relations) {
    const subject table = subject_of(input, name);
    if (table.certainly_missing) continue;
    finding f = finding_on(lock_table_rule(), table);
    f.lock = level;
    f.message = "LOCK TABLE blocks " + std::string(what_it_blocks(level)) + " on " + table.sql +
                " until the transaction ends";
    f.detail =
        lock_in_words(level, table) + (table.is('v') ? ", and so it does on the tables of the view." : ".");
    advise(f, {"SELECT … FROM " + table.sql +
               " WHERE … FOR UPDATE;  -- only the rows; or pg_advisory_xact_lock()"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& lock_table_rule() {
  static constexpr rule r{"lock-table", "LOCK TABLE blocks others until the transaction ends",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
