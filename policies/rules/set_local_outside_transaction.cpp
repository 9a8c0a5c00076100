// SET LOCAL lasts until the end of its transaction. Alone, that is the end of the SET itself: PostgreSQL
// warns with 25P01 and the setting stays as it was.
#include "policies/finding.hpp"
#include "policies/rule.hpp"

#include <utility>

namespace tidegate::policies {

const rule& set_local_outside_transaction_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* set = input.statement.as<sql::variable_set>();
  if (!set || !set->local || input.session.in_transaction || !input.session.alone_in_message) return;
  finding f;
  f.at = input.statement.range.begin;
  f.message = "SET LOCAL " + set->name + " outside a transaction has no effect";
  f.detail = "It lasts until the end of its transaction, which here is the statement itself.";
  // Many migration tools put a transaction around the whole file.
  if (!input.session.guarded) f.lacked_fact = "whether the file is run inside a transaction";
  const bool plain = set->form == sql::set_form::set && set->name.find(' ') == std::string::npos;
  const auto range = input.statement.range;
  const bool has_text = plain && range.begin >= 0 && range.end > range.begin;
  f.steps = {has_text
                 ? "BEGIN; " +
                       std::string(input.text.substr(static_cast<std::size_t>(range.begin),
                                                     static_cast<std::size_t>(range.end - range.begin))) +
                       "; …; COMMIT;"
                 : "BEGIN; SET LOCAL …; …; COMMIT;"};
  f.hint = "Instead: " + f.steps[0] + "  -- or SET without LOCAL, for the session";
  out.push_back(std::move(f));
}

}  // namespace

const rule& set_local_outside_transaction_rule() {
  static constexpr rule r{"set-local-outside-transaction", "SET LOCAL outside a transaction has no effect",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
