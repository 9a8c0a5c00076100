// EXCLUDE builds its index under ACCESS EXCLUSIVE, slower than any other, and no index can be made
// beforehand.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& add_exclusion_constraint_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::exclusion)) {
    finding f = finding_on(add_exclusion_constraint_rule(), added);
    f.message = "adding exclusion constraint " + sql::quote_identifier(added.name) + " builds an index on " +
                added.table.sql;
    f.detail = detail_of(f.lock, added.table, "its index is built and every row is compared");
    f.hint =
        "Instead: there is no online way. Make a new table that has the constraint, copy the rows into it in "
        "batches and exchange the tables, or add the constraint in a maintenance window.";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_exclusion_constraint_rule() {
  static constexpr rule r{"add-exclusion-constraint",
                          "an EXCLUDE constraint builds its index while reads and writes wait",
                          hazard::no_way, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
