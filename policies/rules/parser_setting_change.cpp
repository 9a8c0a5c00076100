// With standard_conforming_strings off a backslash in a plain string hides the quote behind it: the same
// bytes are other statements. The gateway reads on as the server reports it; programs that quote by the
// default do not.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/setting_value.hpp"

#include <utility>

namespace tidegate::policies {

const rule& parser_setting_change_rule();

namespace {

constexpr std::string_view setting_name = "standard_conforming_strings";

// UPDATE pg_settings: its text is all there is to see.
bool may_update(const rule_input& input) {
  const auto* query = input.statement.as<sql::query>();
  return query && query->sets_settings && input.text.find(setting_name) != std::string_view::npos;
}

void check(const rule_input& input, findings& out) {
  bool turns_off = false;
  bool computed = may_update(input);
  const auto* query = input.statement.as<sql::query>();
  for (const setting_change& change : setting_changes(input.statement)) {
    if (change.name != setting_name) continue;
    if (change.value)
      turns_off = turns_off || switch_of(*change.value) == false;
    else  // of SET, ROLE and SYSTEM that is the default, which is on
      computed = computed || query != nullptr;
  }
  if (!turns_off && !computed) return;
  finding f;
  f.at = input.statement.range.begin;
  f.message = "standard_conforming_strings off gives strings with a backslash another meaning";
  f.detail =
      "'\\' no longer ends where it did, so that the same bytes are other statements: what was quoted "
      "for the default can be broken out of.";
  if (!turns_off) f.lacked_fact = "the value that standard_conforming_strings gets";
  f.steps = {"SELECT E'a\\\\b';  -- escapes where they are meant"};
  f.hint = "Instead: leave it on, and write strings with escapes as E'…'.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& parser_setting_change_rule() {
  static constexpr rule r{"parser-setting-change",
                          "without standard_conforming_strings the same bytes are other statements",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
