// DROP DATABASE never through the gateway.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& drop_database_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop_database>();
  if (!drop) return;
  const std::string name = sql::quote_identifier(drop->name);
  finding f;
  f.rule = drop_database_rule().id;
  f.action = drop_database_rule().default_action;
  f.at = input.statement.range.begin;
  f.message = "dropping database " + name + " loses all of it";
  f.detail = "There is no way back but a backup.";
  f.steps = {"ALTER DATABASE " + name + " ALLOW_CONNECTIONS false;"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& drop_database_rule() {
  static constexpr rule r{"drop-database", "DROP DATABASE loses all of it", hazard::data_loss, verdict::block,
                          check};
  return r;
}

}  // namespace tidegate::policies
