// ADD COLUMN … NOT NULL without a default fails with 23502 as soon as there is a row. DEFAULT NULL is none.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_not_null_without_default_rule();

namespace {

using sql::constraint_kind;

bool has_value(const sql::column_definition& column) {
  if (column.is_serial() || column.find(constraint_kind::identity) ||
      column.find(constraint_kind::generated_stored) || column.find(constraint_kind::generated_virtual))
    return true;
  const auto* value = column.find(constraint_kind::default_value);
  return value && value->value && value->value->shape != sql::expression_shape::null_constant;
}

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto& column = *added.command->column;
    if (!column.find(constraint_kind::not_null) || has_value(column)) continue;
    finding f = finding_on(add_column_not_null_without_default_rule(), added);
    f.message = "adding column " + added.column_sql() + " NOT NULL without a default fails on " +
                added.table.sql + " as soon as it has a row";
    f.detail =
        detail_of(f.lock, added.table, "PostgreSQL looks for a row, and then the statement fails with 23502");
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_not_null_without_default_rule() {
  static constexpr rule r{"add-column-not-null-without-default",
                          "a new NOT NULL column without a default fails on a filled table",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
