// A disabled trigger is off for everyone, not only for the session that disables it; with ALL foreign keys
// are not enforced any more, and rows that break them stay.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <string>
#include <utility>

namespace tidegate::policies {

const rule& disable_trigger_rule();

namespace {

// Of a foreign key or a deferrable constraint: PostgreSQL names them itself.
bool is_internal(const sql::alter_command& command) {
  return command.name.starts_with("RI_ConstraintTrigger_") ||
         command.name.starts_with("PK_ConstraintTrigger_");
}

std::string what_is_off(const sql::alter_command& command) {
  if (!command.all) return "trigger " + sql::quote_identifier(command.name);
  return command.user_only ? "every trigger" : "every trigger, foreign keys too,";
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::disable_trigger) continue;
    finding f = finding_on(disable_trigger_rule(), table, command);
    f.lock = lock_level::share_row_exclusive;
    f.message =
        "disabling " + what_is_off(command) + " of " + table.sql + " switches it off for every session";
    f.detail = lock_in_words(f.lock, table) + " until the transaction ends.";
    if ((command.all && !command.user_only) || is_internal(command))
      f.detail += " Rows written without the check of a foreign key are not checked later on.";
    advise(
        f,
        {"BEGIN; SET LOCAL session_replication_role = replica; …; COMMIT;  -- triggers and foreign keys off "
         "for this transaction alone, without a lock; for superusers"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& disable_trigger_rule() {
  static constexpr rule r{"disable-trigger",
                          "a disabled trigger is off for everyone; with ALL foreign keys too",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
