// DROP TABLE loses the rows, and takes ACCESS EXCLUSIVE on the tables its foreign keys point to as well.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& drop_table_rule();

namespace {

// Tables that are locked along: targets of foreign keys, the partitioned parent.
std::vector<std::string> locked_along(const relation_facts& table) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto& constraint : table.constraints)
    if (constraint.kind == 'f') add(constraint.referenced);
  add(table.parent);
  return names;
}

std::vector<std::string> steps_for(const subject& table) {
  std::vector<std::string> steps{"-- make sure that nothing uses " + table.sql + " any more, then:"};
  if (table.facts)
    for (const auto& constraint : table.facts->constraints)
      if (constraint.kind == 'f')
        steps.push_back("ALTER TABLE " + table.sql + " DROP CONSTRAINT " +
                        sql::quote_identifier(constraint.name) + ";");
  steps.push_back("DROP TABLE " + table.sql + ";  -- by a role that may override this rule");
  return steps;
}

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || drop->kind != sql::object_kind::table) return;
  for (const auto& name : drop->objects) {
    const subject table = subject_of(input, name);
    if (table.certainly_missing) continue;
    finding f = finding_on(drop_table_rule(), table);
    f.message = "dropping table " + table.sql + " loses its rows";
    f.detail = lock_in_words(f.lock, table) + "; " + size_in_words(table) + ".";
    if (table.facts) {
      for (const auto& other : locked_along(*table.facts)) {
        f.relations.push_back(other);
        f.detail += " " + other + " is locked the same way.";
      }
    }
    advise(f, steps_for(table));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_table_rule() {
  static constexpr rule r{"drop-table", "DROP TABLE loses the rows", hazard::data_loss, verdict::block,
                          check};
  return r;
}

}  // namespace tidegate::policies
