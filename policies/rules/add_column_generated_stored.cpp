// ADD COLUMN … GENERATED ALWAYS AS (…) STORED computes the value of every row. VIRTUAL (18) does not.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_generated_stored_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    if (!added.command->column->find(sql::constraint_kind::generated_stored)) continue;
    finding f = finding_on(add_column_generated_stored_rule(), added);
    f.message = "adding stored generated column " + added.column_sql() + " rewrites " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every value is computed and all indexes are built again");
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_generated_stored_rule() {
  static constexpr rule r{"add-column-generated-stored", "a new stored generated column rewrites the table",
                          hazard::no_way, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
