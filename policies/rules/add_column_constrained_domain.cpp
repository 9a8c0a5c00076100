// ADD COLUMN of a domain with a CHECK or NOT NULL: PostgreSQL tests the domain for each row by rewriting the
// table, even when every value is NULL. A domain without constraints costs nothing.
#include "policies/remedy.hpp"
#include "policies/type_change.hpp"

namespace tidegate::policies {

const rule& add_column_constrained_domain_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto& column = *added.command->column;
    if (column.is_serial() || column.type.array_dimensions > 0 || is_well_known(column.type)) continue;
    const auto type = input.catalog.type(column.type);
    if (type && !(type->kind == 'd' && type->domain_constrained)) continue;
    if (type.state == presence::missing && added.table.alone) continue;  // the server will say so
    finding f = finding_on(add_column_constrained_domain_rule(), added);
    f.message = "adding column " + added.column_sql() + " of the " +
                (type ? "constrained domain " : "type ") + column.type.text + " rewrites " + added.table.sql +
                (type ? "" : " if it is a constrained domain");
    f.detail =
        detail_of(f.lock, added.table, "every row is tested and written and all indexes are built again");
    if (!type) f.lacked_fact = "whether " + column.type.text + " is a domain with constraints";
    const std::string base = type ? in_words({type->base_schema, type->base, type->base_modifier}) : "…";
    advise(f, {"ALTER TABLE " + added.table.sql + " ADD COLUMN " + added.column_sql() + " " + base +
               ";  -- the domain's base type; its rule as a CHECK … NOT VALID, then VALIDATE CONSTRAINT"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_constrained_domain_rule() {
  static constexpr rule r{"add-column-constrained-domain",
                          "a new column of a constrained domain rewrites the table", hazard::no_way,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
