// ADD COLUMN … UNIQUE or PRIMARY KEY builds the index under ACCESS EXCLUSIVE.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_inline_unique_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto& column = *added.command->column;
    const auto* primary = column.find(sql::constraint_kind::primary_key);
    const auto* constraint = primary ? primary : column.find(sql::constraint_kind::unique);
    if (!constraint) continue;
    finding f = finding_on(add_column_inline_unique_rule(), added);
    f.message = "adding column " + added.column_sql() +
                (primary ? " as primary key" : " with a unique constraint") + " builds an index on " +
                added.table.sql;
    f.detail = detail_of(f.lock, added.table, "the index is built");
    f.constraint = constraint->name;
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_inline_unique_rule() {
  static constexpr rule r{"add-column-inline-unique",
                          "a new unique column builds its index under a strong lock", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
