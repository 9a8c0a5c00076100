// ENABLE TRIGGER (ALWAYS and REPLICA as well) is instant, under SHARE ROW EXCLUSIVE.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& enable_trigger_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::enable_trigger) continue;
    finding f = finding_on(enable_trigger_rule(), table, command);
    f.lock = lock_level::share_row_exclusive;
    f.message = "enabling " + (command.all ? "triggers" : "trigger " + sql::quote_identifier(command.name)) +
                " of " + table.sql + " makes writes wait";
    f.detail = lock_in_words(f.lock, table) +
               " for a moment. Rows that were written meanwhile are not checked again, by foreign keys "
               "neither.";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& enable_trigger_rule() {
  static constexpr rule r{"enable-trigger", "an enabled trigger makes writes wait for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
