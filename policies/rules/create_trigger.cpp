// CREATE TRIGGER is instant. SHARE ROW EXCLUSIVE lets reads go on, and from then on each write does the
// trigger's work as well.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& create_trigger_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::on_relation>();
  if (!create || create->verb != sql::on_relation_verb::create || create->kind != sql::object_kind::trigger)
    return;
  const subject table = subject_of(input, create->relation);
  if (table.certainly_missing) return;
  finding f = finding_on(create_trigger_rule(), table);
  f.lock = lock_level::share_row_exclusive;
  f.message =
      "creating trigger " + sql::quote_identifier(create->name) + " on " + table.sql + " makes writes wait";
  f.detail = lock_in_words(f.lock, table) + " for a moment; then its function runs with each write.";
  if (table.facts && !table.facts->partitions.empty())
    f.detail += " A row trigger locks every partition as well.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_trigger_rule() {
  static constexpr rule r{"create-trigger", "a new trigger makes writes wait for a moment", hazard::instant,
                          verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
