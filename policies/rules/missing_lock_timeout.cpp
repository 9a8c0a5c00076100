// With lock_timeout 0 a schema change waits for its lock without end, and everybody else behind it. Only an
// explicit 0 counts, and never behind the gateway, which bounds the wait itself.
#include "policies/held_locks.hpp"
#include "policies/setting_value.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& missing_lock_timeout_rule();

namespace {

void check(const rule_input& input, findings& out) {
  if (input.session.guarded || !input.session.lock_timeout ||
      milliseconds_of(*input.session.lock_timeout) != 0)
    return;
  const auto taken = newly_taken(input);
  if (taken.empty()) return;
  const held_lock& strongest = taken.front();
  const subject table = subject_of(input, strongest.relation);
  finding f = finding_on(missing_lock_timeout_rule(), table);
  f.lock = strongest.level;
  f.at = input.statement.range.begin;
  f.message = std::string(input.statement.tag) + " waits for its lock on " + table.sql +
              " with lock_timeout 0, so without end";
  f.detail = lock_in_words(strongest.level, table) +
             ", and so does already the wait for it: every later statement that conflicts queues behind.";
  f.steps = {"SET lock_timeout = '2s';"};
  f.hint = "Instead: SET lock_timeout = '2s'; before it, and try again after 55P03.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& missing_lock_timeout_rule() {
  static constexpr rule r{"missing-lock-timeout",
                          "a schema change under lock_timeout 0 makes others queue without end",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
