// ALTER DATABASE … RENAME TO: connection strings break.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& rename_database_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* rename = input.statement.as<sql::rename>();
  if (!rename || rename->kind != sql::object_kind::database) return;
  const std::string from = sql::quote_identifier(rename->from.empty() ? rename->relation.name : rename->from);
  finding f;
  f.rule = rename_database_rule().id;
  f.action = rename_database_rule().default_action;
  f.at = input.statement.range.begin;
  f.message = "renaming database " + from + " breaks every connection string";
  f.detail = "New connections to the old name fail with 3D000, through the gateway too.";
  f.steps = {"-- a second name in the gateway's configuration for the same database, then move the clients"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& rename_database_rule() {
  static constexpr rule r{"rename-database", "a renamed database breaks every connection string",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
