// TRUNCATE loses every row, under ACCESS EXCLUSIVE.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& truncate_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* truncate = input.statement.as<sql::truncate>();
  if (!truncate) return;
  for (const auto& name : truncate->relations) {
    const subject table = subject_of(input, name);
    if (table.certainly_missing) continue;
    finding f = finding_on(truncate_rule(), table);
    f.message = "TRUNCATE loses every row of " + table.sql;
    f.detail = lock_in_words(f.lock, table) + "; " + size_in_words(table) + ".";
    advise(f, {"DELETE FROM " + table.sql + " WHERE …;  -- in batches by key, COMMIT after each"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& truncate_rule() {
  static constexpr rule r{"truncate", "TRUNCATE loses every row", hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
