// A prepared transaction keeps its locks and its snapshot when the session is gone, and even the server has
// restarted, until somebody names it in COMMIT PREPARED or ROLLBACK PREPARED.
#include "policies/held_locks.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& prepared_transaction_holds_locks_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* transaction = input.statement.as<sql::transaction>();
  if (!transaction || transaction->action != sql::transaction_action::prepare) return;
  const auto held = held_before(input);
  const std::string name = sql::quote_literal(transaction->name);
  finding f;
  f.at = input.statement.range.begin;
  f.message = "prepared transaction " + name + " keeps its locks when the session is gone";
  f.detail =
      "No timeout ends it: its locks and what VACUUM may not remove stay until COMMIT PREPARED or "
      "ROLLBACK PREPARED, over restarts too.";
  if (!held.empty()) {
    const held_lock& strongest = held.front();
    f.lock = strongest.level;
    for (const auto& lock : held) f.relations.push_back(lock.name());
    f.message += ", among them " + std::string(policies::name(strongest.level)) + " on " + strongest.name();
  }
  f.steps = {"COMMIT;"};
  f.hint = "Instead: COMMIT; or, where two phases are needed, COMMIT PREPARED " + name +
           "; at once, and watch pg_prepared_xacts.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& prepared_transaction_holds_locks_rule() {
  static constexpr rule r{"prepared-transaction-holds-locks",
                          "a prepared transaction keeps its locks when its session is gone", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
