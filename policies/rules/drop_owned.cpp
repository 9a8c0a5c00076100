// DROP OWNED drops every object of the roles in this database, tables with their rows among them.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& drop_owned_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop_owned>();
  if (!drop) return;
  std::string roles;
  for (const auto& role : drop->roles) roles += (roles.empty() ? "" : ", ") + sql::quote_identifier(role);
  if (roles.empty()) roles = "the current role";
  finding f;
  f.rule = drop_owned_rule().id;
  f.action = drop_owned_rule().default_action;
  f.lock = lock_level::access_exclusive;
  f.at = input.statement.range.begin;
  f.message = "DROP OWNED drops all that " + roles + " owns in this database";
  f.detail =
      "ACCESS EXCLUSIVE on every table that is dropped; their rows are lost, and so are all rights of " +
      roles + ".";
  f.steps = {"REASSIGN OWNED BY " + roles + " TO …;  -- keeps the objects; then REVOKE what is left"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& drop_owned_rule() {
  static constexpr rule r{"drop-owned", "DROP OWNED loses every table of a role", hazard::data_loss,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
