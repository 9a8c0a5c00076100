// RENAME COLUMN is instant, and every running statement that uses the old name fails (42703, prepared 0A000).
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/type_change.hpp"

namespace tidegate::policies {

const rule& rename_column_rule();

namespace {

std::vector<std::string> steps_for(const subject& table, const sql::rename& rename) {
  const auto* column = table.facts ? table.facts->column(rename.from) : nullptr;
  const std::string type =
      column ? in_words({column->type_schema, column->type, column->type_modifier}) : "…";
  const std::string from = sql::quote_identifier(rename.from), to = sql::quote_identifier(rename.to);
  return {"ALTER TABLE " + table.sql + " ADD COLUMN " + to + " " + type + ";",
          "-- a trigger that copies " + from + " to " + to + " and back on INSERT and UPDATE",
          "UPDATE " + table.sql + " SET " + to + " = " + from + " WHERE " + to + " IS DISTINCT FROM " + from +
              ";  -- in batches by key, COMMIT after each",
          "-- move every application from " + from + " to " + to + ", then drop the trigger",
          "ALTER TABLE " + table.sql + " DROP COLUMN " + from + ";"};
}

void check(const rule_input& input, findings& out) {
  const auto* rename = input.statement.as<sql::rename>();
  if (!rename || rename->kind != sql::object_kind::column ||
      rename->relation_kind == sql::object_kind::composite_type)
    return;
  const subject table = subject_of(input, rename->relation);
  if (table.certainly_missing || (table.alone && table.facts && !table.facts->column(rename->from))) return;
  finding f = finding_on(rename_column_rule(), table);
  f.column = rename->from;
  f.message = "renaming column " + sql::quote_identifier(rename->from) + " of " + table.sql +
              " breaks running code at once";
  f.detail =
      lock_in_words(f.lock, table) +
      " for a moment; then statements with the old name fail with 42703, prepared ones with 0A000, until "
      "every application is deployed.";
  advise(f, steps_for(table, *rename));
  out.push_back(std::move(f));
}

}  // namespace

const rule& rename_column_rule() {
  static constexpr rule r{"rename-column", "a renamed column breaks running code at once",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
