// ALTER COLUMN … TYPE between types whose stored forms differ: table and indexes are written anew, foreign
// keys checked again. Which pairs don't: policies/type_change.hpp.
#include "policies/altered_type.hpp"
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& alter_column_type_rewrite_rule();

namespace {

// Foreign keys on the column are checked again, under locks on their other table.
void add_partners(finding& f, const altered& command) {
  if (!command.table.facts) return;
  for (const auto& constraint : command.table.facts->constraints)
    if (constraint.kind == 'f' && !constraint.referenced.empty())
      for (const auto& column : constraint.columns)
        if (column == command.command->name) f.relations.push_back(constraint.referenced);
  for (const auto& index : command.table.facts->indexes) {
    const bool is_key = index.unique && !index.columns.empty() && index.columns[0] == command.command->name;
    if (!is_key) continue;
    for (const auto& from : command.table.facts->referenced_by) f.relations.push_back(from.relation);
    return;
  }
}

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    if (!altered.change.rewrites) continue;
    const auto& table = altered.command.table;
    finding f = finding_on(alter_column_type_rewrite_rule(), altered.command);
    add_partners(f, altered.command);
    f.message = "changing " + altered.column_in_words() +
                (altered.change.from.empty() ? "" : " from " + altered.change.from) + " to " +
                altered.change.to + " rewrites " + table.sql;
    f.detail = detail_of(f.lock, table, "every row is written anew and all indexes are built again");
    f.lacked_fact = altered.change.lacked_fact;
    advise(f, change_type_steps(altered.command));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_rewrite_rule() {
  static constexpr rule r{"alter-column-type-rewrite",
                          "a type change that can't keep the stored rows rewrites the table",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
