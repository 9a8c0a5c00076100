// A new owner: the old one loses the rights that owning gives, under ACCESS EXCLUSIVE for a moment.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <string>
#include <utility>

namespace tidegate::policies {

const rule& change_owner_rule();

namespace {

// CURRENT_USER is the session's role, where that is known.
std::string new_owner(const rule_input& input, const sql::alter_command& command) {
  return command.name == "current_user" && !input.session.role.empty() ? input.session.role : command.name;
}

void of_relation(const rule_input& input, const sql::alter_table& statement, findings& out) {
  const subject relation = subject_of(input, statement.relation);
  if (relation.certainly_missing || is_its_own(input, relation)) return;
  for (const auto& command : statement.commands) {
    if (command.action != sql::alter_action::owner_to) continue;
    const std::string owner = new_owner(input, command);
    if (relation.facts && relation.facts->owner == owner) continue;
    finding f = finding_on(change_owner_rule(), relation, command);
    const std::string to = sql::quote_identifier(owner);
    f.message = "giving " + relation.sql + " to " + to + " takes the owner's rights from the old owner";
    f.detail = lock_in_words(f.lock, relation) + " for a moment.";
    const std::string from =
        relation.facts && !relation.facts->owner.empty() ? sql::quote_identifier(relation.facts->owner) : "…";
    if (from == "…")
      f.lacked_fact = "the owner of " + relation.sql;
    else
      f.detail += " Its owner is " + from + ".";
    advise(f, {"BEGIN; ALTER TABLE " + relation.sql + " OWNER TO " + to + "; GRANT ALL ON " + relation.sql +
               " TO " + from + "; COMMIT;  -- or GRANT " + from + " TO " + to + ", which locks nothing"});
    out.push_back(std::move(f));
  }
}

void check(const rule_input& input, findings& out) {
  if (const auto* statement = input.statement.as<sql::alter_table>()) {
    of_relation(input, *statement, out);
    return;
  }
  if (input.statement.tag != "REASSIGN OWNED") return;
  finding f;
  f.rule = change_owner_rule().id;
  f.action = change_owner_rule().default_action;
  f.lock = lock_level::access_exclusive;
  f.at = input.statement.range.begin;
  f.message = "REASSIGN OWNED takes the owner's rights to everything from the old owner";
  f.detail =
      "ACCESS EXCLUSIVE on every table of the role in this database, all of them until the transaction ends.";
  advise(f, {"ALTER TABLE … OWNER TO …;  -- one table per transaction"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& change_owner_rule() {
  static constexpr rule r{"change-owner", "a new owner takes the owner's rights from the old one",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
