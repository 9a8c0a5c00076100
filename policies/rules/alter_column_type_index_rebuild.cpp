// A type change that keeps the rows but not the indexes: another operator class or collation, and every
// partial or expression index that mentions the column, whatever the types. They are built again under ACCESS
// EXCLUSIVE.
#include "policies/collated_index.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& alter_column_type_index_rebuild_rule();

namespace {

steps steps_by_twins(const rule_input& input, const altered& command, const collated_indexes& twins) {
  steps out;
  std::string drops, renames;
  for (const auto& twin : twins.each) {
    const index_facts& index = *twin.index;
    const std::string name = index.name + "_new";
    out.push_back(std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX CONCURRENTLY " +
                  sql::quote_identifier(name) + " ON " + command.table.sql + " " + twin.definition + ";");
    drops += "DROP INDEX " + sql::quote_name({{}, index.schema, index.name}) + "; ";
    renames += "ALTER INDEX " + sql::quote_name({{}, index.schema, name}) + " RENAME TO " +
               sql::quote_identifier(index.name) + "; ";
  }
  out.push_back("BEGIN; " + drops + "ALTER TABLE " + command.table.sql + " " +
                std::string(command.command->range.in(input.text)) + "; " + renames + "COMMIT;");
  return out;
}

// For whoever can do without the indexes while they are built. Empty: one of them holds up more than queries,
// or hangs on one of a parent.
std::string shorter_way(const altered& command, const std::vector<const index_facts*>& rebuilt) {
  const relation_facts& table = *command.table.facts;
  const bool possible = table.kind != 'p' && table.parent.empty() &&
                        std::none_of(rebuilt.begin(), rebuilt.end(), [](const index_facts* index) {
                          return index->unique || !index->constraint.empty();
                        });
  if (!possible) return {};
  std::string drops, creates;
  for (const index_facts* index : rebuilt) {
    drops += "DROP INDEX CONCURRENTLY " + sql::quote_name({{}, index->schema, index->name}) + "; ";
    creates += "; CREATE INDEX CONCURRENTLY " + sql::quote_identifier(index->name) + " …";
  }
  return "\nOr, where queries can do without an index until it is built, each of these in its own "
         "transaction: " +
         drops + "this statement" + creates + " (as pg_get_indexdef has it now).";
}

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    const auto& command = altered.command;
    const auto rebuilt = rebuilt_indexes(altered);
    if (rebuilt.empty()) continue;
    std::string names;
    for (const auto* index : rebuilt)
      names += (names.empty() ? "" : ", ") + sql::quote_identifier(index->name);
    finding f = finding_on(alter_column_type_index_rebuild_rule(), command);
    f.message = "changing the type of " + altered.column_in_words() + " builds again " + names;
    f.detail = detail_of(f.lock, command.table, "the indexes are built");
    const auto twins = twins_of(altered, input);
    if (twins.why_not.empty()) {
      advise(f, steps_by_twins(input, command, twins));
    } else {
      advise(f, change_type_steps(command));
      f.hint += shorter_way(command, rebuilt);
    }
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_index_rebuild_rule() {
  static constexpr rule r{"alter-column-type-index-rebuild",
                          "a type or collation change rebuilds indexes under a strong lock",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
