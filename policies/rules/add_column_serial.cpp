// ADD COLUMN serial: the default is nextval(), which is volatile, so the table is rewritten.
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& add_column_serial_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto& column = *added.command->column;
    if (!column.is_serial()) continue;
    finding f = finding_on(add_column_serial_rule(), added);
    f.message =
        "adding column " + added.column_sql() + " as " + column.type.text + " rewrites " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row gets its number and all indexes are built again");
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_serial_rule() {
  static constexpr rule r{"add-column-serial", "a new serial column rewrites the table", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
