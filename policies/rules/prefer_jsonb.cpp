// json keeps the text and has no equality: DISTINCT, GROUP BY and UNION of such a column fail with 42883,
// and each access parses it again.
#include "policies/new_columns.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& prefer_jsonb_rule();

namespace {

bool is_json(const sql::type_name& type, const catalog_snapshot& catalog) {
  if (type.name != "json" || type.percent_type) return false;
  if (type.schema == "pg_catalog") return true;
  const auto facts = catalog.type(type);
  return type.schema.empty() && (!facts || facts->schema == "pg_catalog");
}

void report(const rule_input& input, findings& out, const subject& table, const sql::type_name& type,
            const std::string& column_name, sql::position at) {
  const std::string name = sql::quote_identifier(column_name);
  finding f = finding_on(prefer_jsonb_rule(), table);
  f.lock = lock_level::none;
  f.at = at >= 0 ? at : input.statement.range.begin;
  f.column = column_name;
  f.message = "column " + name + " of " + table.sql + " is json, which cannot be compared";
  f.detail =
      "SELECT DISTINCT, GROUP BY, UNION and ORDER BY of it fail with 42883; it is parsed again at each "
      "access and takes no GIN index.";
  f.steps = {name + (type.array_dimensions > 0 ? " jsonb[]" : " jsonb")};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  for (const auto& column : new_columns(input))
    if (is_json(column.definition->type, input.catalog))
      report(input, out, column.table, column.definition->type, column.definition->name,
             column.definition->type.at);
  for (const auto& altered : altered_columns(input, sql::alter_action::alter_type)) {
    const auto& column = altered.command->column;
    if (!column || !is_json(column->type, input.catalog)) continue;
    if (altered.column && altered.column->type == "json") continue;
    report(input, out, altered.table, column->type, altered.command->name, column->type.at);
  }
}

}  // namespace

const rule& prefer_jsonb_rule() {
  static constexpr rule r{"prefer-jsonb", "json cannot be compared: DISTINCT, GROUP BY and UNION of it fail",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
