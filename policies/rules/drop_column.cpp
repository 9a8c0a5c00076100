// DROP COLUMN is instant, but code that names the column fails, its values are gone, and indexes and
// constraints over several columns go with it without CASCADE (hazards §0.16).
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& drop_column_rule();

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What PostgreSQL drops along with the column without saying so.
std::string silently_dropped(const relation_facts& table, const std::string& column) {
  std::string list;
  const auto add = [&](std::string_view kind, const std::string& name) {
    list += (list.empty() ? "" : ", ") + std::string(kind) + " " + sql::quote_identifier(name);
  };
  for (const auto& index : table.indexes)
    if (index.constraint.empty() && (contains(index.mentions, column) || contains(index.columns, column)))
      add("index", index.name);
  for (const auto& constraint : table.constraints)
    if (contains(constraint.columns, column) && constraint.kind != 'n') add("constraint", constraint.name);
  return list;
}

void check(const rule_input& input, findings& out) {
  for (const auto& command : altered_columns(input, sql::alter_action::drop_column)) {
    finding f = finding_on(drop_column_rule(), command);
    const auto& table = command.table;
    const std::string& column = command.command->name;
    f.message =
        "dropping column " + command.column_sql() + " of " + table.sql + " breaks code that still uses it";
    f.detail = lock_in_words(f.lock, table) +
               " for a moment; then statements that name the column, and prepared "
               "ones that return it, fail.";
    std::vector<std::string> steps{"-- stop reading and writing " + table.sql + "." + command.column_sql() +
                                   " in every application, then:"};
    if (table.facts) {
      if (const auto lost = silently_dropped(*table.facts, column); !lost.empty())
        f.detail += " Dropped with it: " + lost + ".";
      for (const auto& constraint : table.facts->constraints) {
        if (constraint.kind != 'f' || !contains(constraint.columns, column)) continue;
        f.relations.push_back(constraint.referenced);
        steps.push_back("ALTER TABLE " + table.sql + " DROP CONSTRAINT " +
                        sql::quote_identifier(constraint.name) + ";");
      }
      for (const auto& index : table.facts->indexes)
        if (index.constraint.empty() && (contains(index.mentions, column) || contains(index.columns, column)))
          steps.push_back("DROP INDEX CONCURRENTLY " +
                          sql::quote_name({"", table.written->schema, index.name, -1}) + ";");
    }
    steps.push_back("ALTER TABLE " + table.sql + " DROP COLUMN " + command.column_sql() + ";");
    advise(f, std::move(steps));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_column_rule() {
  static constexpr rule r{"drop-column", "a dropped column breaks code that still uses it",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
