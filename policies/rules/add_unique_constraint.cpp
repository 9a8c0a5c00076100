// ADD UNIQUE builds its index under ACCESS EXCLUSIVE. An index built CONCURRENTLY becomes the constraint at
// once.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& add_unique_constraint_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::unique)) {
    if (!added.definition->using_index.empty() || partitions_have_it(added, input.catalog)) continue;
    finding f = finding_on(add_unique_constraint_rule(), added);
    f.message = "adding unique constraint " + sql::quote_identifier(added.name) + " builds an index on " +
                added.table.sql;
    f.detail = detail_of(f.lock, added.table, "its index is built");
    advise(f, use_index_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_unique_constraint_rule() {
  static constexpr rule r{"add-unique-constraint",
                          "a UNIQUE constraint builds its index while reads and writes wait",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
