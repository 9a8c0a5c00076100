// DROP SCHEMA: with CASCADE every table in it goes; without, the schema that search paths name.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& drop_schema_rule();

namespace {

void report(const rule_input& input, findings& out, const std::string& name, bool cascade) {
  const std::string schema = sql::quote_identifier(name);
  finding f;
  f.rule = drop_schema_rule().id;
  f.action = drop_schema_rule().default_action;
  f.lock = cascade ? lock_level::access_exclusive : lock_level::none;
  f.at = input.statement.range.begin;
  f.schema = name;
  f.message =
      "dropping schema " + schema + (cascade ? " loses every table in it" : " breaks code that names it");
  f.detail = cascade ? "ACCESS EXCLUSIVE on every relation in " + schema + ", and their rows are lost."
                     : "No table is locked; names and search paths with " + schema + " fail with 3F000.";
  f.steps = {"-- drop what is in " + schema +
             " one by one, then the empty schema by a role that may override this"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || drop->kind != sql::object_kind::schema) return;
  if (drop->objects.empty())
    for (const auto& name : drop->names) report(input, out, name, drop->cascade);
  for (const auto& object : drop->objects) report(input, out, object.name, drop->cascade);
}

}  // namespace

const rule& drop_schema_rule() {
  static constexpr rule r{"drop-schema", "DROP SCHEMA loses what is in it", hazard::data_loss, verdict::block,
                          check};
  return r;
}

}  // namespace tidegate::policies
