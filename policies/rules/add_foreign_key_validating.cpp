// ADD FOREIGN KEY looks up every row of the referencing table under SHARE ROW EXCLUSIVE on both tables. NOT
// VALID skips that, VALIDATE does it while writes go on.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& add_foreign_key_validating_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::foreign_key)) {
    if (!added.validates() || !added.definition->referenced) continue;
    if (partitions_have_it(added, input.catalog)) continue;
    const subject referenced = subject_of(input, *added.definition->referenced);
    finding f = finding_on(add_foreign_key_validating_rule(), added);
    f.relations.push_back(referenced.full_name);
    f.message = "adding foreign key " + sql::quote_identifier(added.name) + " looks up every row of " +
                added.table.sql + " in " + referenced.sql;
    f.detail = detail_of(f.lock, added.table, "every row is looked up") + " " +
               lock_in_words(f.lock, referenced) + " as long.";
    advise(f, validate_later_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_foreign_key_validating_rule() {
  static constexpr rule r{"add-foreign-key-validating",
                          "a foreign key that is checked at once blocks writes of both tables meanwhile",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
