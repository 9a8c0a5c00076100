#include "policies/lock_timeout_changes.hpp"

#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>

namespace tidegate::policies {
namespace {

// In words, or empty.
std::string change_beyond_set(const sql::statement& statement) {
  if (const auto* set = statement.as<sql::variable_set>()) {
    if (set->form == sql::set_form::reset_all) return "RESET ALL";
    if (set->name == "lock_timeout")
      return set->form == sql::set_form::reset ? "RESET lock_timeout" : "SET lock_timeout";
    return {};
  }
  if (const auto* discard = statement.as<sql::discard>())
    return discard->target == sql::discard_target::all ? "DISCARD ALL" : "";
  if (const auto* query = statement.as<sql::query>()) {
    const bool calls = std::any_of(query->functions.begin(), query->functions.end(),
                                   [](const auto& f) { return f.name == "set_config"; });
    if (calls) return "set_config()";
    if (query->sets_settings) return "UPDATE pg_settings";
  }
  return {};
}

}  // namespace

lock_timeout_changes find_lock_timeout_changes(const std::vector<sql::statement>& statements) {
  lock_timeout_changes found;
  for (const sql::statement& statement : statements) {
    const auto* set = statement.as<sql::variable_set>();
    if (set != nullptr && set->name == "lock_timeout" && set->form == sql::set_form::set) {
      found.sets.push_back({statement.range, set->local});
      continue;
    }
    for (const statement_part& part : parts_of(statement)) {
      if (found.beyond.empty() && part.runs) found.beyond = change_beyond_set(*part.statement);
    }
  }
  return found;
}

std::string with_lock_timeout(std::string_view text, const std::vector<lock_timeout_changes::set>& sets,
                              std::string_view value) {
  std::string out;
  std::size_t at = 0;
  for (const auto& each : sets) {
    const auto begin = static_cast<std::size_t>(each.range.begin);
    const auto end = static_cast<std::size_t>(each.range.end);
    if (begin < at || end < begin || end > text.size()) continue;
    out += text.substr(at, begin - at);
    out += each.local ? " SET LOCAL lock_timeout = " : " SET lock_timeout = ";
    out += sql::quote_literal(std::string(value));
    out += ' ';
    at = end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace tidegate::policies
