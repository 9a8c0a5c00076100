// ADD COLUMN … CHECK (…) reads the whole table under ACCESS EXCLUSIVE, although every value is the same.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_inline_check_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto* constraint = added.command->column->find(sql::constraint_kind::check);
    if (!constraint || constraint->not_enforced) continue;
    finding f = finding_on(add_column_inline_check_rule(), added);
    f.message = "adding column " + added.column_sql() + " with a CHECK scans " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row is checked");
    f.constraint = constraint->name;
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_inline_check_rule() {
  static constexpr rule r{"add-column-inline-check", "a new column with a CHECK scans the table",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
