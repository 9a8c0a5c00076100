#include "policies/added_constraint.hpp"
#include "policies/collated_index.hpp"
#include "policies/concurrent_index.hpp"
#include "policies/plan/parts.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tidegate::policies {
namespace {

using sql::constraint_kind;
using sql::quote_identifier;

// Of the helper that proves there is no NULL. A name of ours, so that one left over is known for what it is.
constexpr std::string_view helper_suffix = "tidegate_nn";

constexpr std::string_view twin_suffix = "tidegate_idx";

// Left over from an earlier plan: by its name and by what it says.
bool is_helper(const constraint_facts* found, const std::string& quoted_column) {
  if (!found || found->kind != 'c' || found->no_inherit) return false;
  std::string_view says = found->expression;
  while (says.size() > 1 && says.front() == '(' && says.back() == ')') says = says.substr(1, says.size() - 2);
  return says == quoted_column + " IS NOT NULL";
}

const relation_facts& facts_of_partition(const draft& of, const std::string& full_name) {
  const auto found = of.input().catalog.relation_by_full_name(full_name);
  if (!found) throw not_planned("the partitions of " + of.table().sql + " are not all known");
  return *found.facts;
}

std::string alter(const relation_facts& table) {
  return "ALTER TABLE " + table.full_name() + " ";
}

// Partitions before what they are partitions of. Iterative: a hostile schema may nest deeply.
std::vector<const relation_facts*> partitions_first(const draft& of) {
  std::vector<const relation_facts*> order;
  std::vector<const relation_facts*> open{&of.facts()};
  while (!open.empty()) {
    const relation_facts* table = open.back();
    open.pop_back();
    order.push_back(table);
    for (const auto& partition : table->partitions) open.push_back(&facts_of_partition(of, partition));
  }
  std::reverse(order.begin(), order.end());
  order.pop_back();  // the table itself
  return order;
}

// What an index takes of a written key: WITH (…) and the tablespace.
struct index_options {
  std::string with, tablespace;  // " WITH (…)", " TABLESPACE t"; empty: not written

  std::string of_index() const { return with + tablespace; }
  std::string of_constraint() const { return with + (tablespace.empty() ? "" : " USING INDEX" + tablespace); }
};

index_options read_index_options(std::string_view text) {
  const sql::token_list tokens(text, {0, static_cast<sql::position>(text.size())}, false);
  const auto words = [&](std::size_t from, std::size_t end) {
    return " " + std::string(tokens.range(from, end).in(text));
  };
  const std::size_t end = tokens.size();
  if (tokens.find_word("without", 0, end) != end)
    throw not_planned("WITHOUT OVERLAPS needs its index in one step");
  index_options options;
  if (const std::size_t with = tokens.find_word("with", 0, end); tokens.is_char(with + 1, '('))
    options.with = words(with, tokens.closing(with + 1) + 1);
  if (const std::size_t space = tokens.find_word("tablespace", 0, end); space < end)
    options.tablespace = words(space, space + 2);
  return options;
}

std::string key_definition(const sql::constraint_definition& key, const index_options& options) {
  return std::string(key.kind == constraint_kind::primary_key ? "PRIMARY KEY" : "UNIQUE") +
         (key.nulls_not_distinct ? " NULLS NOT DISTINCT " : " ") + sql::quote_columns(key.columns) +
         (key.included.empty() ? "" : " INCLUDE " + sql::quote_columns(key.included)) +
         options.of_constraint() + deferral(key);
}

// `text` is what stands behind the constraint's name.
void add_constraint(draft& to, const relation_facts& table, const std::string& alter_table,
                    const std::string& name, const std::string& text) {
  const std::string quoted = quote_identifier(name);
  to.add(step_kind::brief, alter_table + "ADD CONSTRAINT " + quoted + " " + text,
         probe::constraint(table.oid, name), alter_table + "DROP CONSTRAINT IF EXISTS " + quoted);
}

// The index of one table, and the constraint made of it.
void add_key(draft& to, const relation_facts& table, const std::string& on, const std::string& alter_table,
             const sql::constraint_definition& key, const std::string& name, const index_options& options) {
  const std::string quoted = quote_identifier(name);
  to.add(step_kind::concurrent,
         "CREATE UNIQUE INDEX CONCURRENTLY " + quoted + " ON " + on + " " + sql::quote_columns(key.columns) +
             (key.included.empty() ? "" : " INCLUDE " + sql::quote_columns(key.included)) +
             (key.nulls_not_distinct ? " NULLS NOT DISTINCT" : "") + options.of_index(),
         probe::valid_index(table.oid, name),
         "DROP INDEX CONCURRENTLY IF EXISTS " +
             sql::quote_name({.database = {}, .schema = table.schema, .name = name}));
  add_constraint(
      to, table, alter_table, name,
      (key.kind == constraint_kind::primary_key ? "PRIMARY KEY USING INDEX " : "UNIQUE USING INDEX ") +
          quoted + deferral(key));
}

void not_valid_then_validate(draft& to, const relation_facts& table, const std::string& alter_table,
                             const std::string& name, const std::string& text) {
  add_constraint(to, table, alter_table, name, text + " NOT VALID");
  to.add(step_kind::checking, alter_table + "VALIDATE CONSTRAINT " + quote_identifier(name),
         probe::valid_constraint(table.oid, name));
}

}  // namespace

void plan_not_null(draft& to, const std::string& column) {
  const auto& table = to.facts();
  if (to.made_not_null(column)) return;
  to.makes_not_null(column);
  if (is_known_not_null(table, column, to.server_version())) {
    if (const auto* known = table.column(column); !known || !known->not_null)
      to.add(step_kind::brief, to.alter() + "ALTER COLUMN " + quote_identifier(column) + " SET NOT NULL",
             probe::not_null(table.oid, column),
             to.alter() + "ALTER COLUMN " + quote_identifier(column) + " DROP NOT NULL");
    return;
  }
  if (to.server_version() < 120000)
    throw not_planned("before PostgreSQL 12 SET NOT NULL always reads the whole table");
  if (to.only() && !table.partitions.empty()) throw not_planned("ONLY, on a table that has children");
  const std::string quoted_column = quote_identifier(column);
  if (to.server_version() >= 180000) {
    const std::string name = to.new_constraint(column, "not_null");
    not_valid_then_validate(to, table, to.alter(), name, "NOT NULL " + quoted_column);
    to.last().not_null_column = column;
    return;
  }
  std::string name = object_name(to.table(), column, helper_suffix);
  const bool left_over = is_helper(table.constraint(name), quoted_column);
  if (!left_over) name = to.new_constraint(column, helper_suffix);
  const std::string helper = quote_identifier(name);
  if (!left_over)
    add_constraint(to, table, to.alter(), name, "CHECK (" + quoted_column + " IS NOT NULL) NOT VALID");
  to.add(step_kind::checking, to.alter() + "VALIDATE CONSTRAINT " + helper,
         probe::valid_constraint(table.oid, name), to.alter() + "DROP CONSTRAINT IF EXISTS " + helper)
      .not_null_column = column;
  // Never in one ALTER: DROP would run first and take the proof away (hazards §0.4).
  to.add(step_kind::brief,
         in_one_transaction({to.alter() + "ALTER COLUMN " + quoted_column + " SET NOT NULL",
                             to.alter() + "DROP CONSTRAINT " + helper}),
         probe::both(probe::not_null(table.oid, column), probe::no_constraint(table.oid, name)),
         to.alter() + "ALTER COLUMN " + quoted_column + " DROP NOT NULL");
}

void plan_check(draft& to, const std::string& name, const std::string& text) {
  not_valid_then_validate(to, to.facts(), to.alter(), name, text);
}

void plan_foreign_key(draft& to, const std::string& name, const std::string& text) {
  const auto& table = to.facts();
  if (table.kind != 'p' || to.server_version() >= 180000)
    return not_valid_then_validate(to, table, to.alter(), name, text);
  if (to.only()) throw not_planned("PostgreSQL refuses ONLY for a foreign key of a partitioned table");
  for (const relation_facts* partition : partitions_first(to)) {
    if (partition->kind == 'f') throw not_planned("one of the partitions is a foreign table");
    if (partition->kind == 'p')
      add_constraint(to, *partition, alter(*partition), name, text);
    else
      not_valid_then_validate(to, *partition, alter(*partition), name, text);
  }
  // Adopts those of the partitions without looking at a row (hazards §0.14).
  add_constraint(to, table, to.alter(), name, text);
}

void plan_key(draft& to, const sql::constraint_definition& definition, const std::string& text) {
  const auto& table = to.facts();
  if (!definition.using_index.empty()) throw not_planned("the index is there already");
  if (!builds_concurrently_safely(to.server_version()))
    throw not_planned("PostgreSQL 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY");
  const bool primary = definition.kind == constraint_kind::primary_key;
  const index_options options = read_index_options(text);
  const std::string whole = key_definition(definition, options);
  if (primary)
    for (const auto& column : definition.columns) plan_not_null(to, column);
  std::string name = definition.name;
  if (name.empty()) name = to.new_relation(name_columns(definition), name_suffix(definition.kind));
  if (table.kind != 'p') return add_key(to, table, to.table().sql, to.alter(), definition, name, options);
  if (to.only()) throw not_planned("ONLY, on a partitioned table");
  for (const relation_facts* partition : partitions_first(to)) {
    if (partition->kind == 'f') throw not_planned("one of the partitions is a foreign table");
    const sql::qualified_name written{.database = {}, .schema = partition->schema, .name = partition->name};
    subject of_partition;
    of_partition.written = &written;
    const std::string own = object_name(of_partition, name_columns(definition), name_suffix(definition.kind));
    if (partition->kind == 'p')
      add_constraint(to, *partition, alter(*partition), own, whole);
    else
      add_key(to, *partition, partition->full_name(), alter(*partition), definition, own, options);
  }
  add_constraint(to, table, to.alter(), name, whole);
}

void plan_type_beside_checks(draft& to, const sql::alter_command& command, const std::string& text) {
  const auto& table = to.facts();
  if (to.only()) throw not_planned("ONLY, with checks on the column");
  std::string drops, adds, comments;
  std::vector<std::string> names;
  for (const auto& check : table.constraints) {
    const bool on_column =
        std::find(check.columns.begin(), check.columns.end(), command.name) != check.columns.end();
    if (check.kind != 'c' || !check.validated || !on_column) continue;
    if (check.expression.empty())
      throw not_planned("the text of check " + quote_identifier(check.name) + " could not be read");
    const std::string name = quote_identifier(check.name);
    drops += "DROP CONSTRAINT " + name + ", ";
    adds += ", ADD CONSTRAINT " + name + " CHECK (" + check.expression + ")" +
            (check.no_inherit ? " NO INHERIT" : "") + " NOT VALID";
    if (!check.comment.empty())
      comments += "; COMMENT ON CONSTRAINT " + name + " ON " + to.table().sql + " IS " +
                  sql::quote_literal(check.comment);
    names.push_back(check.name);
  }
  to.add(step_kind::brief, to.alter() + drops + text + adds + comments, {});
  for (const auto& name : names)
    to.add(step_kind::checking, to.alter() + "VALIDATE CONSTRAINT " + quote_identifier(name),
           probe::valid_constraint(table.oid, name));
}

void plan_type_beside_indexes(draft& to, const sql::alter_command& command, const std::string& text) {
  if (!builds_concurrently_safely(to.server_version()))
    throw not_planned("PostgreSQL 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY");
  const auto all = altered_types(to.input());
  const auto altered = std::find_if(
      all.begin(), all.end(), [&](const altered_type& each) { return each.command.command == &command; });
  if (altered == all.end()) throw not_planned("its type change is not known");
  const collated_indexes twins = twins_of(*altered, to.input());
  if (!twins.why_not.empty())
    throw not_planned(twins.why_not + ", and queries would be without it until it is built again");
  std::string drops, renames;
  for (const auto& twin : twins.each) {
    const index_facts& old = *twin.index;
    const std::string name = to.new_relation(command.name, twin_suffix);
    const auto in_schema = [&](const std::string& index) {
      return sql::quote_name({.database = {}, .schema = old.schema, .name = index});
    };
    to.add(step_kind::concurrent,
           std::string("CREATE ") + (old.unique ? "UNIQUE " : "") + "INDEX CONCURRENTLY " +
               quote_identifier(name) + " ON " + to.table().sql + " " + twin.definition,
           probe::valid_index(to.facts().oid, name), "DROP INDEX CONCURRENTLY IF EXISTS " + in_schema(name));
    drops += "DROP INDEX " + in_schema(old.name) + "; ";
    renames += "; ALTER INDEX " + in_schema(name) + " RENAME TO " + quote_identifier(old.name);
    if (!old.comment.empty())
      renames += "; COMMENT ON INDEX " + in_schema(old.name) + " IS " + sql::quote_literal(old.comment);
  }
  to.add(step_kind::brief, drops + to.alter() + text + renames,
         probe::collation(to.facts().oid, command.name, command.column->collation));
}

}  // namespace tidegate::policies
