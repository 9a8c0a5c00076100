// ADD PRIMARY KEY builds its index and checks its columns for NULLs under ACCESS EXCLUSIVE. With NOT NULL and
// an index made beforehand it is instant.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& add_primary_key_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::primary_key)) {
    if (!added.definition->using_index.empty() || partitions_have_it(added, input.catalog)) continue;
    finding f = finding_on(add_primary_key_rule(), added);
    f.message =
        "adding primary key " + sql::quote_identifier(added.name) + " builds an index on " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "its index is built and every row is looked at for NULLs");
    advise(f, use_index_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_primary_key_rule() {
  static constexpr rule r{"add-primary-key",
                          "a PRIMARY KEY builds its index and looks for NULLs while reads and writes wait",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
