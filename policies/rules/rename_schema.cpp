// ALTER SCHEMA … RENAME TO takes no table lock, but every name that is qualified with it breaks.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& rename_schema_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* rename = input.statement.as<sql::rename>();
  if (!rename || rename->kind != sql::object_kind::schema) return;
  const std::string from = sql::quote_identifier(rename->from.empty() ? rename->relation.name : rename->from);
  finding f;
  f.rule = rename_schema_rule().id;
  f.action = rename_schema_rule().default_action;
  f.at = input.statement.range.begin;
  f.message = "renaming schema " + from + " breaks every qualified name in it";
  f.detail =
      "Statements and search paths with the old name fail with 3F000 or 42P01 at once; no table is locked.";
  f.steps = {
      "-- CREATE SCHEMA with the new name and move one relation at a time, each with a view in the old "
      "schema"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& rename_schema_rule() {
  static constexpr rule r{"rename-schema", "a renamed schema breaks every qualified name in it",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
