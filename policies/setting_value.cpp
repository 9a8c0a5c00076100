#include "policies/setting_value.hpp"

#include "policies/sql/token_list.hpp"

#include <cmath>
#include <cstdlib>
#include <utility>

namespace tidegate::policies {
namespace {

setting_change change_of(const sql::variable_set& set) {
  setting_change change{sql::folded(set.name), std::nullopt};
  if (set.form == sql::set_form::set) change.value = set.value;
  return change;
}

}  // namespace

std::optional<double> milliseconds_of(std::string_view value) {
  const std::string text(value);
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (end == text.c_str()) return std::nullopt;
  std::string_view unit = end;
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  while (!unit.empty() && unit.back() == ' ') unit.remove_suffix(1);
  constexpr std::pair<std::string_view, double> units[] = {
      {"", 1}, {"us", 0.001}, {"ms", 1}, {"s", 1000}, {"min", 6e4}, {"h", 36e5}, {"d", 864e5}};
  for (const auto& [name, milliseconds] : units)
    if (unit == name) return std::rint(number * milliseconds);
  return std::nullopt;
}

std::optional<bool> switch_of(std::string_view value) {
  const std::string word = sql::folded(value);
  // parse_bool(): any beginning of a word that no other word begins with
  const auto begins = [&](std::string_view whole, std::size_t at_least) {
    return word.size() >= at_least && whole.starts_with(word);
  };
  if (begins("true", 1) || begins("yes", 1) || word == "on" || word == "1") return true;
  if (begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0") return false;
  return std::nullopt;
}

std::vector<setting_change> setting_changes(const sql::statement& statement) {
  if (const auto* set = statement.as<sql::variable_set>()) return {change_of(*set)};
  if (const auto* role = statement.as<sql::alter_role_set>()) return {change_of(role->setting)};
  if (const auto* system = statement.as<sql::alter_system>()) return {change_of(system->setting)};
  std::vector<setting_change> changes;
  const auto* query = statement.as<sql::query>();
  if (!query) return changes;
  for (const auto& call : query->functions) {
    const bool built_in = call.schema.empty() || call.schema == "pg_catalog";
    if (!built_in || call.name != "set_config" || call.constant_arguments.size() < 2) continue;
    if (const auto& name = call.constant_arguments[0])
      changes.push_back({sql::folded(*name), call.constant_arguments[1]});
  }
  return changes;
}

}  // namespace tidegate::policies
