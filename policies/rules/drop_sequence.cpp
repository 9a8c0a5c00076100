// A dropped sequence: nextval() of it fails, and with CASCADE the defaults that call it are gone.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_sequence_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || drop->kind != sql::object_kind::sequence) return;
  for (const auto& name : drop->objects) {
    const subject sequence = subject_of(input, name);
    if (sequence.certainly_missing || is_its_own(input, sequence)) continue;
    finding f = finding_on(drop_sequence_rule(), sequence);
    f.message = "dropping sequence " + sequence.sql + " breaks code that calls nextval() of it";
    f.detail =
        std::string(policies::name(f.lock)) + " on " + sequence.sql + " for a moment; its value is lost.";
    if (drop->cascade)
      f.detail += " Defaults that call it are dropped, under ACCESS EXCLUSIVE on their tables.";
    advise(f, {"SELECT last_value, is_called FROM " + sequence.sql +
               ";  -- keep them: CREATE SEQUENCE and setval() bring the sequence back"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_sequence_rule() {
  static constexpr rule r{"drop-sequence", "a dropped sequence loses its value and with CASCADE defaults",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
