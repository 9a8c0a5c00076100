// REPLICA IDENTITY is instant, under ACCESS EXCLUSIVE. What follows depends on the kind: FULL writes more
// WAL, NOTHING makes UPDATE and DELETE of a published table fail.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <string>
#include <utility>

namespace tidegate::policies {

const rule& replica_identity_rule();

namespace {

std::string to_what(const sql::alter_command& command) {
  switch (command.replica_identity) {
    case 'f':
      return "FULL";
    case 'n':
      return "NOTHING";
    case 'i':
      return "USING INDEX " + sql::quote_identifier(command.name);
    default:
      return "DEFAULT";
  }
}

std::string what_follows(const sql::alter_command& command, const subject& table) {
  switch (command.replica_identity) {
    case 'f':
      return " Each UPDATE and DELETE then writes the whole old row to the WAL.";
    case 'n':
      return table.facts && !table.facts->published
                 ? " Once the table is published, UPDATE and DELETE fail with 55000."
                 : " UPDATE and DELETE of a published table then fail with 55000.";
    default:
      return "";
  }
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::replica_identity) continue;
    finding f = finding_on(replica_identity_rule(), table, command);
    f.message = "setting the replica identity of " + table.sql + " to " + to_what(command);
    f.detail = lock_in_words(f.lock, table) + " for a moment." + what_follows(command, table);
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& replica_identity_rule() {
  static constexpr rule r{"replica-identity", "a change of the replica identity locks the table for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
