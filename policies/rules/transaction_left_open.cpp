// A file that ends inside a transaction leaves its locks to whoever runs it: they are held for as long as the
// session is idle. In a running gateway this is a matter of time, not of a statement.
#include "policies/held_locks.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& transaction_left_open_rule();

namespace {

void check(const rule_input& input, findings& out) {
  if (!input.session.at_end || !input.history.in_transaction()) return;
  const auto held = held_before(input);
  if (held.empty()) return;
  const held_lock& strongest = held.front();
  const subject table = subject_of(input, strongest.relation);
  finding f = finding_on(transaction_left_open_rule(), table);
  f.lock = strongest.level;
  f.at = -1;
  for (std::size_t i = 1; i < held.size(); ++i) f.relations.push_back(held[i].name());
  f.message = "the file ends inside a transaction that holds " + std::string(name(strongest.level)) + " on " +
              strongest.name();
  f.detail = lock_in_words(strongest.level, table) +
             " for as long as the session stays idle in it; psql would roll it back at the end of the file.";
  advise(f, {"COMMIT;"});
  f.hint += "  -- and SET idle_in_transaction_session_timeout = '10s'; as a bound";
  out.push_back(std::move(f));
}

}  // namespace

const rule& transaction_left_open_rule() {
  static constexpr rule r{"transaction-left-open",
                          "a transaction left open after a schema change holds its lock while it is idle",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
