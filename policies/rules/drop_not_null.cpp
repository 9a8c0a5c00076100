// DROP NOT NULL is instant; readers that rely on a value meet NULL from now on.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& drop_not_null_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& command : altered_columns(input, sql::alter_action::drop_not_null)) {
    if (command.column && !command.column->not_null) continue;
    finding f = finding_on(drop_not_null_rule(), command);
    f.message = "column " + command.column_sql() + " of " + command.table.sql + " may be NULL from now on";
    f.detail = lock_in_words(f.lock, command.table) + " for a moment; readers must be ready for NULL.";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_not_null_rule() {
  static constexpr rule r{"drop-not-null", "readers must be ready for NULL", hazard::instant, verdict::allow,
                          check};
  return r;
}

}  // namespace tidegate::policies
