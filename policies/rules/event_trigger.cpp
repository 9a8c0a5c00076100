// An event trigger runs inside every DDL statement to come, of everybody: when it fails, so do they.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& event_trigger_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* other = input.statement.as<sql::other_statement>();
  const auto* drop = input.statement.as<sql::drop>();
  const bool made = other && (other->node == "CreateEventTrigStmt" || other->node == "AlterEventTrigStmt");
  const bool dropped = drop && drop->kind == sql::object_kind::event_trigger;
  if (!made && !dropped) return;
  const std::string name = made                    ? sql::quote_identifier(other->name)
                           : drop->objects.empty() ? std::string("…")
                                                   : sql::quote_name(drop->objects.front());
  finding f;
  f.at = input.statement.range.begin;
  if (dropped) {
    f.message = "DDL of the whole database runs without event trigger " + name + " from now on";
    f.detail = "What it checked or recorded is checked and recorded no more.";
    f.hint = "Instead: ALTER EVENT TRIGGER " + name + " DISABLE; can be taken back.";
  } else {
    f.message = "event trigger " + name + " runs in every schema change of the database";
    f.detail =
        "An error in its function fails them all, and what it does lengthens the time their locks are "
        "held. ALTER EVENT TRIGGER and DROP EVENT TRIGGER fire none, so that it can always be turned off.";
    f.hint = "Instead: try it in a database of its own first; ALTER EVENT TRIGGER " + name +
             " DISABLE; turns it off.";
  }
  out.push_back(std::move(f));
}

}  // namespace

const rule& event_trigger_rule() {
  static constexpr rule r{"event-trigger", "an event trigger runs in every schema change to come",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
