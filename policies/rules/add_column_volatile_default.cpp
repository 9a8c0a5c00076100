// ADD COLUMN … DEFAULT volatile(): every row needs its own value, so the table and all its indexes are
// rewritten. Constants, STABLE functions and SQL functions that inline to a constant are kept in the catalog.
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/volatility.hpp"

namespace tidegate::policies {

const rule& add_column_volatile_default_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto* value = added.command->column->find(sql::constraint_kind::default_value);
    if (!value || !value->value) continue;
    const auto volatility = volatility_of(*value->value, input.catalog);
    if (!volatility.is_volatile) continue;
    finding f = finding_on(add_column_volatile_default_rule(), added);
    f.message = "adding column " + added.column_sql() + " with the volatile default " + volatility.because +
                " rewrites " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row gets its value and all indexes are built again");
    f.lacked_fact = volatility.lacked_fact;
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_volatile_default_rule() {
  static constexpr rule r{"add-column-volatile-default",
                          "a new column with a volatile default rewrites the table", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
