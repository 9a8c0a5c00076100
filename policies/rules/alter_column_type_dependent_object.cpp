// PostgreSQL refuses to change the type of a column that a view, rule, policy, trigger condition, generated
// column or partition key uses (0A000, 42P16).
#include "policies/altered_type.hpp"
#include "policies/remedy.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& alter_column_type_dependent_object_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    const auto& command = altered.command;
    if (!command.column) continue;
    const auto& keys = command.table.facts->partition_columns;
    const bool is_key = std::find(keys.begin(), keys.end(), command.command->name) != keys.end();
    auto dependents = command.column->dependents;
    if (is_key && std::find(dependents.begin(), dependents.end(), "partition key") == dependents.end())
      dependents.insert(dependents.begin(), "partition key");
    if (dependents.empty()) continue;
    std::string list;
    for (const auto& dependent : dependents) list += (list.empty() ? "" : ", ") + dependent;
    finding f = finding_on(alter_column_type_dependent_object_rule(), command);
    f.sqlstate = is_key ? "42P16" : "0A000";
    f.message =
        "the type of " + altered.column_in_words() + " can't be changed while in use by " + dependents[0];
    f.detail = "PostgreSQL refuses the change because of " + list + ".";
    if (is_key)
      advise(f, {"CREATE TABLE … (LIKE " + command.table.sql +
                 " INCLUDING ALL) with the new type and PARTITION BY, copy in batches, then swap the names"});
    else
      advise(f, change_type_steps(command));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_dependent_object_rule() {
  static constexpr rule r{"alter-column-type-dependent-object",
                          "a column that other objects use can't change its type", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
