#pragma once
// The parser's view of what the pre-filter may let pass: used by the unit test and by the fuzz target.

#include "policies/sql/parse.hpp"

#include <algorithm>
#include <string_view>

namespace tidegate::sql {

// A WHERE that is true for every row may pass: the pre-filter looks only at what it begins with.
inline bool is_harmless(const query& data) {
  return !data.sets_settings &&
         std::all_of(data.whole_changes.begin(), data.whole_changes.end(),
                     [](const whole_change& change) { return change.has_where; }) &&
         std::none_of(data.functions.begin(), data.functions.end(),
                      [](const function_call& f) { return f.name == "set_config"; });
}

inline bool is_harmless(const statement& s) {
  if (s.ddl) return false;
  if (const query* data = s.as<query>()) return is_harmless(*data);
  if (const copy* moved = s.as<copy>()) return !moved->program && (!moved->body || is_harmless(*moved->body));
  if (const transaction* change = s.as<transaction>()) return change->action != transaction_action::prepare;
  if (const other_statement* other = s.as<other_statement>())
    return other->node != "LoadStmt" && other->node != "ConstraintsSetStmt" &&
           other->node != "CheckPointStmt";
  return s.as<execute>() != nullptr || s.as<call>() != nullptr;
}

// True as well for what does not parse: the server refuses it.
inline bool is_harmless_to_the_parser(std::string_view text, bool standard_conforming_strings) {
  const parsed result = parse(text, {.standard_conforming_strings = standard_conforming_strings});
  return std::all_of(result.statements.begin(), result.statements.end(),
                     [](const statement& s) { return is_harmless(s); });
}

}  // namespace tidegate::sql
