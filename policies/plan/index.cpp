#include "policies/plan/index.hpp"

#include "policies/concurrent_index.hpp"
#include "policies/plan/draft.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/lexer.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace tidegate::policies {
namespace {

using sql::quote_identifier;

// "(a, b) WHERE …": what stands behind the name of the table.
std::string behind_table(const rule_input& input, const sql::create_index& create) {
  sql::lexer lexer(input.text);
  lexer.seek(static_cast<std::uint32_t>(std::max(create.relation.at, 0)));
  lexer.next();  // the name, or its first part
  for (;;) {
    const sql::token t = lexer.next();
    if (t.kind == sql::token_kind::end) throw not_planned("the statement can't be taken apart");
    const std::string_view spelling = input.text.substr(t.begin, t.size());
    if (spelling == ".") {
      lexer.next();
      continue;
    }
    if (spelling == "*") continue;  // t *: with its children, as it is anyway
    const auto end = std::min<std::size_t>(input.text.size(),
                                           static_cast<std::size_t>(std::max(input.statement.range.end, 0)));
    if (t.begin >= end) throw not_planned("the statement can't be taken apart");
    std::string rest(input.text.substr(t.begin, end - t.begin));
    while (!rest.empty() && (rest.back() == ';' || rest.back() == ' ' || rest.back() == '\n'))
      rest.pop_back();
    return rest;
  }
}

// ChooseIndexNameAddition(): the columns in the name that PostgreSQL chooses.
std::string columns_in_name(const sql::create_index& create) {
  std::string text;
  for (const auto& column : create.column_names) text += (text.empty() ? "" : "_") + column;
  return text;
}

std::string attached(const relation_facts& partition, const std::string& index) {
  return "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS c ON c.oid = "
         "h.inhrelid JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid WHERE i.indrelid = " +
         std::to_string(partition.oid) + "::pg_catalog.oid AND c.relname = " + sql::quote_literal(index) +
         ")";
}

struct index_tree {
  draft& to;
  const sql::create_index& create;
  std::string rest;      // behind the table
  std::string keywords;  // "CREATE [UNIQUE] INDEX "
};

struct waiting_attach {
  const relation_facts* partition;
  std::string index, parent_index;  // quoted with their schemas
  std::string bare;
};

void only_on(index_tree& tree, const relation_facts& table, const std::string& name) {
  plan_step& step = tree.to.add(
      step_kind::brief,
      tree.keywords + quote_identifier(name) + " ON ONLY " +
          sql::quote_name({.database = {}, .schema = table.schema, .name = table.name}) + " " + tree.rest,
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = "
      "i.indexrelid WHERE i.indrelid = " +
          std::to_string(table.oid) + "::pg_catalog.oid AND c.relname = " + sql::quote_literal(name) + ")",
      "DROP INDEX IF EXISTS " + sql::quote_name({.database = {}, .schema = table.schema, .name = name}));
  step.index = name;
}

}  // namespace

std::vector<plan_step> plan_concurrent_index(const rule_input& input, sql::position position) {
  if (position < 0) throw not_planned("CONCURRENTLY can't be put into it");
  const auto* create = input.statement.as<sql::create_index>();
  if (!builds_concurrently_safely(input.catalog.server_version))
    throw not_planned("PostgreSQL 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY");
  plan_step step;
  step.kind = step_kind::concurrent;
  step.sql = with_concurrently(input, position);
  while (!step.sql.empty() && step.sql.back() == ';') step.sql.pop_back();
  if (create) step.index = create->name;
  step.locks = locks_taken(input.statement, input.catalog);
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
  index_tree tree{to, create, behind_table(input, create),
                  std::string("CREATE ") + (create.unique ? "UNIQUE " : "") + "INDEX "};
  const std::string columns = columns_in_name(create);
  const std::string name = create.name.empty() ? to.new_relation(columns, "idx") : create.name;
  only_on(tree, *table.facts, name);

  struct open_table {
    const relation_facts* facts;
    std::string index;  // quoted, with its schema
  };
  const auto in_schema = [](const relation_facts& of, const std::string& index) {
    return sql::quote_name({.database = {}, .schema = of.schema, .name = index});
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
        only_on(tree, *partition.facts, own);
        open.push_back({partition.facts, in_schema(*partition.facts, own)});
      } else {
        plan_step& build = to.add(step_kind::concurrent,
                                  tree.keywords + "CONCURRENTLY " + quote_identifier(own) + " ON " +
                                      sql::quote_name(written) + " " + tree.rest,
                                  probe::valid_index(partition->oid, own),
                                  "DROP INDEX CONCURRENTLY IF EXISTS " + in_schema(*partition.facts, own));
        build.undo_concurrently = true;
        build.index = own;
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
