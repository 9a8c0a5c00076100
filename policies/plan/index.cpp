#include "policies/plan/index.hpp"

#include "policies/concurrent_index.hpp"
#include "policies/plan/draft.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

namespace tidegate::policies {
namespace {

using sql::quote_identifier;

// "(a, b) WHERE …": what stands behind the name of the table.
std::string behind_table(const rule_input& input, const sql::create_index& create) {
  const sql::token_list tokens(input.text, input.statement.range, false);
  std::size_t at = tokens.behind_name(tokens.index_at(create.relation.at));
  if (at < tokens.size() && tokens.spelling(at) == "*") ++at;  // with its children, as it is anyway
  return std::string(tokens.range(at, tokens.size()).in(input.text));
}

std::string attached(const relation_facts& partition, const std::string& index) {
  return "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS c ON c.oid = "
         "h.inhrelid JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid WHERE i.indrelid = " +
         std::to_string(partition.oid) + "::pg_catalog.oid AND c.relname = " + sql::quote_literal(index) +
         ")";
}

struct waiting_attach {
  const relation_facts* partition;
  std::string index, parent_index;  // quoted with their schemas
  std::string bare;
};

std::string in_schema(const relation_facts& of, const std::string& index) {
  return sql::quote_name({.database = {}, .schema = of.schema, .name = index});
}

std::string index_of(const relation_facts& table, const std::string& name) {
  return "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = "
         "i.indexrelid WHERE i.indrelid = " +
         std::to_string(table.oid) + "::pg_catalog.oid AND c.relname = " + sql::quote_literal(name) + ")";
}

}  // namespace

// ChooseIndexNameAddition() of PostgreSQL.
std::string columns_in_name(const sql::create_index& create) {
  std::string text;
  for (const auto& column : create.column_names) text += (text.empty() ? "" : "_") + column;
  return text;
}

std::vector<plan_step> plan_concurrent_index(const rule_input& input, sql::position position) {
  if (position < 0) throw not_planned("CONCURRENTLY can't be put into it");
  if (!builds_concurrently_safely(input.catalog.server_version))
    throw not_planned("PostgreSQL 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY");
  plan_step step;
  step.kind = step_kind::concurrent;
  step.sql = with_concurrently(input, position);
  step.sql.pop_back();  // its semicolon
  step.locks = locks_of(step.sql, input.catalog);
  return {std::move(step)};
}

std::vector<plan_step> plan_partitioned_index(const rule_input& input, const sql::create_index& create) {
  const subject table = subject_of(input, create.relation);
  if (!table.is('p')) throw not_planned("it has no partitions");
  if (create.if_not_exists && !create.name.empty() && table.facts->index(create.name))
    throw not_planned("an index of that name is there already");
  if (!builds_concurrently_safely(input.catalog.server_version))
    throw not_planned("PostgreSQL 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY");
  draft to(input, table, false);
  const std::string rest = behind_table(input, create);
  const std::string create_it = create.unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ";
  const auto only_on = [&](const relation_facts& parent, const std::string& index) {
    to.add(step_kind::brief,
           create_it + quote_identifier(index) + " ON ONLY " + parent.full_name() + " " + rest,
           index_of(parent, index), "DROP INDEX IF EXISTS " + in_schema(parent, index));
  };
  const std::string columns = columns_in_name(create);
  const std::string name = create.name.empty() ? to.new_relation(columns, "idx") : create.name;
  only_on(*table.facts, name);

  struct open_table {
    const relation_facts* facts;
    std::string index;  // quoted, with its schema
  };
  std::vector<waiting_attach> attaches;
  std::vector<open_table> open{{table.facts, in_schema(*table.facts, name)}};
  while (!open.empty()) {
    const open_table parent = open.back();
    open.pop_back();
    for (const auto& full_name : parent.facts->partitions) {
      const auto partition = input.catalog.relation_by_full_name(full_name);
      if (!partition) throw not_planned("the partitions of " + table.sql + " are not all known");
      if (partition->kind == 'f') {
        if (create.unique) throw not_planned("one of the partitions is a foreign table");
        continue;
      }
      const sql::qualified_name written{.database = {}, .schema = partition->schema, .name = partition->name};
      subject of_partition;
      of_partition.written = &written;
      const std::string own = object_name(of_partition, columns, "idx");
      if (partition->kind == 'p') {
        only_on(*partition.facts, own);
        open.push_back({partition.facts, in_schema(*partition.facts, own)});
      } else {
        to.add(step_kind::concurrent,
               create_it + "CONCURRENTLY " + quote_identifier(own) + " ON " + partition->full_name() + " " +
                   rest,
               probe::valid_index(partition->oid, own),
               "DROP INDEX CONCURRENTLY IF EXISTS " + in_schema(*partition.facts, own));
      }
      attaches.push_back({partition.facts, in_schema(*partition.facts, own), parent.index, own});
    }
  }
  // Leaves first: the index of a partitioned table becomes valid with its last partition's.
  std::reverse(attaches.begin(), attaches.end());
  for (const auto& attach : attaches)
    to.add(step_kind::brief, "ALTER INDEX " + attach.parent_index + " ATTACH PARTITION " + attach.index,
           attached(*attach.partition, attach.bare));
  return to.take_steps();
}

std::vector<plan_step> plan_refresh(const rule_input& input, const sql::refresh_materialized_view& refresh) {
  const subject view = subject_of(input, refresh.relation);
  if (refresh.concurrently || refresh.with_no_data) throw not_planned("it can't be refreshed CONCURRENTLY");
  const bool has_key =
      std::any_of(view.facts->indexes.begin(), view.facts->indexes.end(), [](const auto& index) {
        return index.unique && index.valid && !index.has_expressions && !index.has_predicate;
      });
  if (!has_key) throw not_planned("CONCURRENTLY needs a unique index on columns of " + view.sql);
  draft to(input, view, false);
  to.add(step_kind::checking, "REFRESH MATERIALIZED VIEW CONCURRENTLY " + view.sql, {});
  return to.take_steps();
}

}  // namespace tidegate::policies
