// INHERIT and NO INHERIT: the rows of the table appear in queries over the parent, or vanish from them, at
// once.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& inherit_change_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    const bool joins = command.action == sql::alter_action::inherit;
    if ((!joins && command.action != sql::alter_action::no_inherit) || !command.partition) continue;
    const subject parent = subject_of(input, *command.partition);
    // a new child of a table that others use changes what they see; a new parent is nobody's
    if (is_its_own(input, parent) || (!joins && is_its_own(input, table))) continue;
    finding f = finding_on(inherit_change_rule(), table, command);
    f.relations.push_back(parent.full_name);
    f.message =
        "the rows of " + table.sql + (joins ? " appear in" : " vanish from") + " queries over " + parent.sql;
    f.detail = lock_in_words(f.lock, table) + " for a moment";
    f.detail += joins ? ", SHARE UPDATE EXCLUSIVE on " + parent.sql + "." : std::string(".");
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& inherit_change_rule() {
  static constexpr rule r{"inherit-change", "rows appear in queries over the parent, or vanish from them",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
