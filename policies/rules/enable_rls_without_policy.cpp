// Row level security without a policy denies everything: SELECT returns no row and no error, INSERT fails
// with 42501. For the owner as well once it is forced.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& enable_rls_without_policy_rule();

namespace {

using sql::alter_action;

bool does(const sql::alter_table& statement, alter_action action) {
  return std::any_of(statement.commands.begin(), statement.commands.end(),
                     [&](const sql::alter_command& command) { return command.action == action; });
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const bool enables = does(*statement, alter_action::enable_row_security);
  const bool forces = does(*statement, alter_action::force_row_security);
  if (!enables && !forces) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing || input.history.created_policy(statement->relation)) return;
  if (table.facts && table.facts->policies > 0) return;
  // FORCE alone has no effect where row level security is off
  if (!enables && !(table.facts && table.facts->row_security)) return;
  // on already: only what FORCE adds is new
  if (table.facts && table.facts->row_security && !forces) return;
  finding f = finding_on(enable_rls_without_policy_rule(), table);
  f.message = "row level security without a policy hides every row of " + table.sql +
              (forces ? ", from its owner too" : "");
  f.detail =
      "SELECT returns no rows and no error, INSERT fails with 42501; superusers and roles with BYPASSRLS "
      "notice nothing.";
  if (!table.facts) f.lacked_fact = "whether " + table.sql + " has a policy";
  advise(f,
         {"CREATE POLICY " + sql::quote_identifier(statement->relation.name + "_all") + " ON " + table.sql +
              " USING (…);  -- which rows who may see",
          "ALTER TABLE " + table.sql + (forces && !enables ? " FORCE" : " ENABLE") + " ROW LEVEL SECURITY;"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& enable_rls_without_policy_rule() {
  static constexpr rule r{"enable-rls-without-policy", "row level security without a policy hides every row",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
