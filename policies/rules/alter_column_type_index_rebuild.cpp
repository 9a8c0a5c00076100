// A type change that keeps the rows but not the indexes: another operator class or collation, and every
// partial or expression index that mentions the column, whatever the types. They are built again under ACCESS
// EXCLUSIVE.
#include "policies/altered_type.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& alter_column_type_index_rebuild_rule();

namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A COLLATE that is not written means the type's own: "default".
bool changes_collation(const altered& command) {
  const std::string& before = command.column->collation;
  const std::string& written = command.command->column->collation;
  if (before.empty()) return false;
  return before != (written.empty() ? "default" : written);
}

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    const auto& command = altered.command;
    if (altered.change.rewrites || !command.column) continue;
    const bool keys_change = altered.change.changes_indexes || changes_collation(command);
    std::string rebuilt;
    for (const auto& index : command.table.facts->indexes) {
      const bool mentioned =
          contains(index.mentions, command.command->name) || contains(index.columns, command.command->name);
      if (!mentioned || !(keys_change || index.has_expressions || index.has_predicate)) continue;
      rebuilt += (rebuilt.empty() ? "" : ", ") + sql::quote_identifier(index.name);
    }
    if (rebuilt.empty()) continue;
    finding f = finding_on(alter_column_type_index_rebuild_rule(), command);
    f.message = "changing the type of " + altered.column_in_words() + " builds again " + rebuilt;
    f.detail = detail_of(f.lock, command.table, "the indexes are built");
    advise(f, change_type_steps(command));
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
