#include "policies/name_changes.hpp"

#include "policies/statement_parts.hpp"

#include <algorithm>
#include <string>

namespace tidegate::policies {

namespace {

bool is_implied(const std::string& schema) {
  return schema == "pg_catalog" || schema.starts_with("pg_temp");
}

// As SET takes its constants: joined by ", ".
bool is_in_force(const std::string& value, const catalog_snapshot& catalog) {
  std::string now;
  for (const std::string& schema : catalog.search_path)
    if (!is_implied(schema)) now += (now.empty() ? "" : ", ") + schema;
  return catalog.available && value == now;
}

bool changes_them(const sql::statement& statement, const catalog_snapshot& catalog) {
  if (const auto* set = statement.as<sql::variable_set>()) {
    if (set->name == "search_path")
      return set->form != sql::set_form::set || !is_in_force(set->value, catalog);
    return set->form == sql::set_form::reset_all || set->name == "role" ||
           set->name == "session_authorization";
  }
  if (const auto* query = statement.as<sql::query>())
    return query->sets_settings || std::any_of(query->functions.begin(), query->functions.end(),
                                               [](const auto& f) { return f.name == "set_config"; });
  if (const auto* discard = statement.as<sql::discard>()) return discard->target == sql::discard_target::all;
  return false;
}

}  // namespace

bool changes_names(const sql::statement& statement, const catalog_snapshot& catalog) {
  const auto parts = parts_of(statement);
  return std::any_of(parts.begin(), parts.end(), [&](const statement_part& part) {
    return part.runs && changes_them(*part.statement, catalog);
  });
}

}  // namespace tidegate::policies
