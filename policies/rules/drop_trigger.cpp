// DROP TRIGGER is instant, but unlike CREATE TRIGGER it needs ACCESS EXCLUSIVE.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <cstddef>
#include <utility>

namespace tidegate::policies {

const rule& drop_trigger_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || drop->kind != sql::object_kind::trigger) return;
  for (std::size_t i = 0; i < drop->objects.size() && i < drop->names.size(); ++i) {
    const subject table = subject_of(input, drop->objects[i]);
    if (table.certainly_missing) continue;
    finding f = finding_on(drop_trigger_rule(), table);
    f.at = input.statement.range.begin;
    f.message = "dropping trigger " + sql::quote_identifier(drop->names[i]) + " of " + table.sql +
                " makes reads and writes wait";
    f.detail = lock_in_words(f.lock, table) + " for a moment; then writes go on without its function.";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_trigger_rule() {
  static constexpr rule r{"drop-trigger", "a dropped trigger makes reads and writes wait for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
