#include "policies/plan/drop.hpp"

#include "policies/plan/parts.hpp"
#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace tidegate::policies {
namespace {

using sql::quote_identifier;

// Statements that make a foreign key again, each in a transaction of its own. Those of its table are found by
// their full names: what search_path says by then is not known.
std::string made_again(const rule_input& input, const dropped_foreign_key& dropped) {
  const constraint_facts& key = *dropped.key;
  if (key.definition.empty())
    throw not_planned("the text of foreign key " + quote_identifier(key.name) + " could not be read");
  const std::string full_name = dropped.table->full_name();
  const sql::qualified_name written = split_full_name(full_name);
  subject table;
  table.written = &written;
  table.facts = dropped.table;
  table.sql = table.full_name = full_name;
  std::string text;
  if (key.validated) {
    draft again(input, table, false);
    plan_foreign_key(again, key.name, key.definition);
    for (const auto& step : again.take_steps()) text += (text.empty() ? "" : "; ") + step.sql;
  } else {
    text =
        "ALTER TABLE " + full_name + " ADD CONSTRAINT " + quote_identifier(key.name) + " " + key.definition;
  }
  if (!key.comment.empty())
    text += "; COMMENT ON CONSTRAINT " + quote_identifier(key.name) + " ON " + full_name + " IS " +
            sql::quote_literal(key.comment);
  return text;
}

std::string is_gone(const std::vector<const relation_facts*>& tables) {
  std::string oids;
  for (const auto* table : tables) oids += (oids.empty() ? "" : ", ") + std::to_string(table->oid);
  return "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid IN (" + oids + "))";
}

}  // namespace

void plan_dropped_foreign_keys(draft& to, const std::vector<dropped_foreign_key>& keys) {
  for (const auto& dropped : keys)
    to.add(step_kind::brief,
           "ALTER TABLE " + dropped.table_sql + " DROP CONSTRAINT " + quote_identifier(dropped.key->name),
           probe::no_constraint(dropped.table->oid, dropped.key->name), made_again(to.input(), dropped));
}

std::vector<plan_step> plan_drop_table(const rule_input& input, const sql::drop& drop,
                                       const decision& decision) {
  for (const auto& found : decision.reported)
    if (found.action >= verdict::rewrite && found.rule != "drop-foreign-keys-at-once")
      throw not_planned("there is no plan for " + std::string(found.rule));
  std::vector<const relation_facts*> tables;
  std::optional<subject> first;
  for (const auto& name : drop.objects) {
    const subject table = subject_of(input, name);
    if (!table.facts) continue;
    tables.push_back(table.facts);
    if (!first) first = table;
  }
  const auto keys = dropped_foreign_keys(input);
  if (!first || keys.empty()) throw not_planned("no foreign keys go with it");
  draft to(input, *first, false);
  plan_dropped_foreign_keys(to, keys);
  to.add(step_kind::brief, std::string(input.statement.range.in(input.text)), is_gone(tables));
  for (const auto& other : locked_by(keys))
    std::erase_if(to.last().locks,
                  [&](const relation_lock& lock) { return lock.relation == split_full_name(other); });
  return to.take_steps();
}

}  // namespace tidegate::policies
