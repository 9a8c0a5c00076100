// CREATE OR REPLACE VIEW may only add columns at the end: PostgreSQL refuses other names, types or fewer
// columns (42P16).
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& replace_view_incompatible_rule();

namespace {

// Types that were not written are left to PostgreSQL.
bool changes_type(const sql::type_name& to, const column_facts& from) {
  if (to.name.empty() || to.percent_type || (!to.schema.empty() && to.schema != from.type_schema))
    return false;
  return (to.array_dimensions > 0 ? "_" : "") + to.name != from.type;
}

std::optional<std::string> incompatibility(const sql::create_view& create, const relation_facts& view) {
  for (std::size_t i = 0; i < create.columns.size() && i < view.columns.size(); ++i) {
    const auto& to = create.columns[i];
    const auto& from = view.columns[i];
    const std::string column = "column " + sql::quote_identifier(from.name);
    if (!to.name.empty() && to.name != from.name)
      return column + " would become " + sql::quote_identifier(to.name);
    if (changes_type(to.type, from)) return "the type of " + column + " would change";
  }
  if (create.has_all_columns && create.columns.size() < view.columns.size())
    return "column " + sql::quote_identifier(view.columns[create.columns.size()].name) + " would be missing";
  return std::nullopt;
}

// The facts are of before: another statement of this transaction was about a relation of the name.
bool was_touched_before(const rule_input& input, const sql::qualified_name& relation) {
  const auto& entries = input.history.entries();
  return std::any_of(entries.begin(), entries.end(), [&](const transaction_history::entry& each) {
    return each.relation.name == relation.name;
  });
}

// A name without schema finds a view anywhere on the path, but replaces it only where new ones are made.
bool is_replaced(const rule_input& input, const sql::create_view& create, const relation_facts& view) {
  if (!create.relation.schema.empty()) return true;
  for (const auto& schema : input.catalog.search_path)
    if (schema != "pg_catalog" && !schema.starts_with("pg_temp")) return schema == view.schema;
  return true;
}

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::create_view>();
  if (!create || !create->replace || create->temporary) return;
  const subject view = subject_of(input, create->relation);
  if (!view.is('v') || !is_replaced(input, *create, *view.facts) ||
      was_touched_before(input, create->relation))
    return;
  const auto what = incompatibility(*create, *view.facts);
  if (!what) return;
  finding f = finding_on(replace_view_incompatible_rule(), view);
  f.lock = lock_level::none;
  f.sqlstate = "42P16";
  f.message = "cannot replace view " + view.sql + ": " + *what;
  f.detail =
      "A replaced view keeps its columns, with their names, types and order; new ones come at the end.";
  advise(f, {"BEGIN; DROP VIEW " + view.sql + "; CREATE VIEW " + view.sql +
             " AS …; COMMIT;  -- with its grants; code must be ready for the other columns"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& replace_view_incompatible_rule() {
  static constexpr rule r{"replace-view-incompatible",
                          "a replaced view must keep its columns, names and types", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
