// Row level security is switched on, off or forced in an instant, under ACCESS EXCLUSIVE.
#include "policies/subject.hpp"

#include <string_view>
#include <utility>

namespace tidegate::policies {

const rule& enable_rls_rule();

namespace {

struct wording {
  std::string_view message, effect;
};

wording wording_of(sql::alter_action action) {
  using enum sql::alter_action;
  switch (action) {
    case enable_row_security:
      return {"enabling row level security on ", "the policies decide which rows others than the owner see"};
    case disable_row_security:
      return {"disabling row level security on ", "every role with the right to read sees every row"};
    case force_row_security:
      return {"forcing row level security on ", "the policies hold for the owner, too"};
    case no_force_row_security:
      return {"no longer forcing row level security on ", "the owner sees every row"};
    default:
      return {};
  }
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    const wording words = wording_of(command.action);
    if (words.message.empty()) continue;
    finding f = finding_on(enable_rls_rule(), table, command);
    f.message = std::string(words.message) + table.sql;
    f.detail = lock_in_words(f.lock, table) + " for a moment; then " + std::string(words.effect) + ".";
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& enable_rls_rule() {
  static constexpr rule r{"enable-rls", "row level security changes which rows are seen, under a strong lock",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
