// TRUNCATE … CASCADE empties every table whose foreign keys point here, and those behind them.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& truncate_cascade_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* truncate = input.statement.as<sql::truncate>();
  if (!truncate || !truncate->cascade) return;
  for (const auto& name : truncate->relations) {
    const subject table = subject_of(input, name);
    if (table.certainly_missing) continue;
    if (table.facts && table.alone && table.facts->referenced_by.empty()) continue;
    finding f = finding_on(truncate_cascade_rule(), table);
    f.reaches_further = true;
    f.message = "TRUNCATE CASCADE empties the tables that reference " + table.sql;
    f.detail = lock_in_words(f.lock, table) + ", and so does the lock on every table emptied along";
    if (table.facts) {
      for (const auto& from : table.facts->referenced_by) {
        f.relations.push_back(from.relation);
        f.detail += (f.relations.size() == 2 ? ": " : ", ") + from.relation;
      }
    } else {
      f.lacked_fact = "which tables reference " + table.sql;
    }
    f.detail += ".";
    advise(f, {"DELETE FROM " + table.sql + " WHERE …;  -- in batches by key, the referencing tables first"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& truncate_cascade_rule() {
  static constexpr rule r{"truncate-cascade", "TRUNCATE CASCADE empties referencing tables too",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
