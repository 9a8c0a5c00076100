// ATTACH PARTITION holds ACCESS EXCLUSIVE on the new partition while it reads every row (unless valid
// constraints prove the bounds), builds the indexes that the parent has and it has not, and checks foreign
// keys.
#include "policies/partitioning.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::policies {

const rule& attach_partition_scan_rule();

namespace {

// Near enough to CompareIndexInfo() of PostgreSQL; of expressions and predicates only that there are some.
bool matches(const index_facts& mine, const index_facts& parents) {
  return mine.unique == parents.unique && mine.method == parents.method && mine.columns == parents.columns &&
         mine.has_expressions == parents.has_expressions && mine.has_predicate == parents.has_predicate &&
         (parents.constraint.empty() || !mine.constraint.empty());
}

std::vector<const index_facts*> missing_indexes(const relation_facts& table, const relation_facts& parent) {
  std::vector<const index_facts*> missing;
  for (const auto& wanted : parent.indexes)
    if (std::none_of(table.indexes.begin(), table.indexes.end(),
                     [&](const index_facts& mine) { return matches(mine, wanted); }))
      missing.push_back(&wanted);
  return missing;
}

std::vector<const constraint_facts*> missing_foreign_keys(const relation_facts& table,
                                                          const relation_facts& parent) {
  std::vector<const constraint_facts*> missing;
  for (const auto& wanted : parent.constraints) {
    if (wanted.kind != 'f' || !wanted.enforced) continue;
    if (std::none_of(table.constraints.begin(), table.constraints.end(), [&](const constraint_facts& mine) {
          return mine.kind == 'f' && mine.validated && mine.columns == wanted.columns &&
                 mine.referenced == wanted.referenced;
        }))
      missing.push_back(&wanted);
  }
  return missing;
}

void add_index_step(const subject& table, const index_facts& index, steps& out) {
  std::string columns, names;
  for (const auto& column : index.columns) {
    columns += (columns.empty() ? "" : ", ") + sql::quote_identifier(column);
    names += (names.empty() ? "" : "_") + column;
  }
  const bool plain = !index.has_expressions && !index.has_predicate && index.plain_order;
  const std::string name =
      sql::quote_identifier(index.primary ? object_name(table, "", "pkey")
                                          : object_name(table, plain ? names : index.name,
                                                        index.constraint.empty() ? "idx" : "key"));
  out.push_back(std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX CONCURRENTLY " + name +
                " ON " + table.sql + (index.method == "btree" ? " " : " USING " + index.method + " ") +
                (plain ? "(" + columns + ");" : "…;  -- as " + sql::quote_identifier(index.name)));
  if (!index.constraint.empty() && index.unique)
    out.push_back("ALTER TABLE " + table.sql + " ADD CONSTRAINT " + name +
                  (index.primary ? " PRIMARY KEY" : " UNIQUE") + " USING INDEX " + name + ";");
}

void add_foreign_key_steps(const subject& table, const constraint_facts& key, steps& out) {
  const std::string name = sql::quote_identifier(key.name);
  out.push_back("ALTER TABLE " + table.sql + " ADD CONSTRAINT " + name + " FOREIGN KEY " +
                sql::quote_columns(key.columns) + " REFERENCES " + key.referenced + " NOT VALID;");
  out.push_back("ALTER TABLE " + table.sql + " VALIDATE CONSTRAINT " + name + ";");
}

// What is still to be done on the partition while it is locked.
struct work {
  bool reads_rows = true;
  std::vector<const index_facts*> indexes;
  std::vector<const constraint_facts*> foreign_keys;

  bool any() const { return reads_rows || !indexes.empty() || !foreign_keys.empty(); }

  std::string in_words() const {
    std::string text = reads_rows ? "every row is checked against the bounds" : "";
    const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
    for (const auto* index : indexes)
      add("an index like " + sql::quote_identifier(index->name) + " of the parent is built");
    for (const auto* key : foreign_keys)
      add("foreign key " + sql::quote_identifier(key->name) + " is checked");
    return text;
  }
};

work work_of(const subject& table, const subject& parent, const sql::partition_bound& bound,
             const catalog_snapshot& catalog) {
  if (!table.facts || !parent.facts) return {};
  return {!proves_bound(*table.facts, *parent.facts, bound, catalog),
          missing_indexes(*table.facts, *parent.facts), missing_foreign_keys(*table.facts, *parent.facts)};
}

steps steps_for(const subject& table, const subject& parent, const sql::partition_bound& bound,
                const work& todo, const catalog_snapshot& catalog) {
  steps out, after;
  if (todo.reads_rows) {
    const std::string name = object_name(table, "", "bounds");
    out = proof_steps(table.sql, name, bound_sql(parent.facts, bound));
    after.push_back("ALTER TABLE " + table.sql + " DROP CONSTRAINT " + sql::quote_identifier(name) + ";");
  }
  for (const auto* index : todo.indexes) add_index_step(table, *index, out);
  for (const auto* key : todo.foreign_keys) add_foreign_key_steps(table, *key, out);
  auto others = default_scan_of(parent, bound, catalog);
  std::move(others.before.begin(), others.before.end(), std::back_inserter(out));
  out.push_back("ALTER TABLE " + parent.sql + " ATTACH PARTITION " + table.sql + " " + bound.text + ";");
  std::move(others.after.begin(), others.after.end(), std::back_inserter(after));
  std::move(after.begin(), after.end(), std::back_inserter(out));
  return out;
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::attach_partition || !command.partition || !command.bound)
      continue;
    const subject parent = subject_of(input, statement->relation);
    const subject table = subject_of(input, *command.partition);
    // the rows of a foreign table are not looked at
    if (parent.certainly_missing || table.certainly_missing || table.is('f')) continue;
    const work todo = work_of(table, parent, *command.bound, input.catalog);
    if (!todo.any()) continue;
    finding f = finding_on(attach_partition_scan_rule(), table);
    f.relations.push_back(parent.full_name);
    f.message = "attaching " + table.sql + " to " + parent.sql +
                (todo.reads_rows ? " scans it" : " works on it") + " while it is locked";
    f.detail = detail_of(f.lock, table, todo.in_words());
    if (!table.facts || !parent.facts)
      f.lacked_fact = "whether constraints of " + table.sql + " prove the bounds, and which indexes " +
                      parent.sql + " has";
    advise(f, steps_for(table, parent, *command.bound, todo, input.catalog));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& attach_partition_scan_rule() {
  static constexpr rule r{
      "attach-partition-scan",
      "ATTACH PARTITION scans the new partition unless valid constraints prove the bounds",
      hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
