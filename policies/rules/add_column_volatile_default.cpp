// ADD COLUMN … DEFAULT volatile(): every row needs its own value, so the table and all its indexes are
// rewritten. So it is with the default of a domain. Constants, STABLE functions and SQL functions that inline
// to a constant are kept in the catalog.
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/volatility.hpp"

namespace tidegate::policies {

const rule& add_column_volatile_default_rule();

namespace {

// A default of its own keeps that of the domain away while the column is made.
steps of_domain_steps(const altered& added) {
  const auto& column = *added.command->column;
  const std::string alter = "ALTER TABLE " + added.table.sql + " ";
  const std::string name = sql::quote_identifier(column.name);
  steps out{"BEGIN; " + alter + "ADD COLUMN " + name + " " + type_sql(column) + " DEFAULT NULL; " + alter +
                "ALTER COLUMN " + name + " DROP DEFAULT; COMMIT;",
            "UPDATE " + added.table.sql + " SET " + name + " = DEFAULT WHERE " + name +
                " IS NULL;  -- in batches by key, COMMIT after each"};
  return out;
}

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto volatility = volatility_of(*added.command->column, input.catalog);
    if (!volatility.is_volatile) continue;
    finding f = finding_on(add_column_volatile_default_rule(), added);
    f.message = "adding column " + added.column_sql() + " with the volatile default " + volatility.because +
                " rewrites " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row gets its value and all indexes are built again");
    f.lacked_fact = volatility.lacked_fact;
    const bool own = added.command->column->find(sql::constraint_kind::default_value) != nullptr;
    advise(f, own ? add_column_steps(added, input.catalog.server_version) : of_domain_steps(added));
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
