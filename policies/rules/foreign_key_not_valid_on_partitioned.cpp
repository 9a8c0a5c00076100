// A NOT VALID foreign key on a partitioned table is refused before PostgreSQL 18. Keys that were validated on
// each partition are adopted by the parent without a scan.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& foreign_key_not_valid_on_partitioned_rule();

namespace {

void check(const rule_input& input, findings& out) {
  if (input.catalog.server_version >= 180000) return;
  for (const auto& added : added_constraints(input, sql::constraint_kind::foreign_key)) {
    if (!added.definition->not_valid || !added.table.is('p')) continue;
    finding f = finding_on(foreign_key_not_valid_on_partitioned_rule(), added);
    f.sqlstate = "42809";
    f.message = "a foreign key of partitioned table " + added.table.sql + " cannot be NOT VALID";
    f.detail = "PostgreSQL takes NOT VALID foreign keys of partitioned tables from version 18 on.";
    advise(f, validate_later_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& foreign_key_not_valid_on_partitioned_rule() {
  static constexpr rule r{"foreign-key-not-valid-on-partitioned",
                          "before PostgreSQL 18 a partitioned table takes no NOT VALID foreign key",
                          hazard::will_fail, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
