// ADD COLUMN … GENERATED … AS IDENTITY rewrites as serial does. ADD GENERATED on a column that exists does
// not.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_identity_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    if (!added.command->column->find(sql::constraint_kind::identity)) continue;
    finding f = finding_on(add_column_identity_rule(), added);
    f.message = "adding identity column " + added.column_sql() + " rewrites " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row gets its number and all indexes are built again");
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_identity_rule() {
  static constexpr rule r{"add-column-identity", "a new identity column rewrites the table",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
