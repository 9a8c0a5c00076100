// DROP DEFAULT is instant; INSERTs that leave the column out store NULL, or fail when it is NOT NULL.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& drop_default_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& command : altered_columns(input, sql::alter_action::drop_default)) {
    if (command.column && !command.column->has_default) continue;
    const bool may_be_null = command.column && !command.column->not_null;
    finding f = finding_on(drop_default_rule(), command);
    f.message = "inserts into " + command.table.sql + " that leave out " + command.column_sql() +
                (may_be_null ? " store NULL" : " fail") + " without the default";
    f.detail = lock_in_words(f.lock, command.table) + " for a moment.";
    if (!command.column) f.lacked_fact = "whether the column is NOT NULL";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_default_rule() {
  static constexpr rule r{"drop-default", "inserts that rely on the default change or fail", hazard::instant,
                          verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
