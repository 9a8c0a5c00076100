#include "policies/added_constraint.hpp"
#include "policies/plan/parts.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"
#include "policies/volatility.hpp"

#include <algorithm>
#include <vector>

namespace tidegate::policies {
namespace {

using sql::constraint_kind;
using sql::quote_identifier;
using sql::quote_literal;

// Where the constraints of a column begin: what stands before is its name, type, collation and storage.
sql::position first_constraint(const sql::column_definition& column) {
  sql::position first = column.range.end;
  for (const auto& c : column.constraints)
    if (c.range.end > c.range.begin) first = std::min(first, c.range.begin);
  return first;
}

std::string trimmed(std::string_view text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  return std::string(end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1));
}

// Triggers and rules would run for each row that is filled, and change what nobody has asked to change.
void forbid_triggers(const draft& to, const relation_facts& table) {
  std::vector<const relation_facts*> open{&table};
  while (!open.empty()) {
    const relation_facts* each = open.back();
    open.pop_back();
    if (!each->update_triggers.empty())
      throw not_planned("filling the column would run " + each->update_triggers.front() + " of " +
                        each->full_name() + " for every row");
    if (each->kind == 'f') throw not_planned("one of the partitions is a foreign table");
    for (const auto& child : each->partitions) {
      const auto facts = to.input().catalog.relation_by_full_name(child);
      if (!facts) throw not_planned("the partitions of " + to.table().sql + " are not all known");
      open.push_back(facts.facts);
    }
  }
}

std::vector<std::string> quoted(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& name : names) out.push_back(quote_identifier(name));
  return out;
}

void fill(draft& to, const std::string& column) {
  const auto& table = to.facts();
  filling what;
  what.table = (to.only() ? "ONLY " : "") + to.table().sql;
  what.column = quote_identifier(column);
  what.key = key_to_walk_by(table, to.server_version());
  what.rows = std::max(table.rows.value_or(0), 0.0);
  plan_step& step = to.add(step_kind::filling, as_one_statement(what), {});
  step.fills = std::move(what);
  step.locks.clear();  // row locks of small batches
}

// "(START WITH 10)" of GENERATED … AS IDENTITY (START WITH 10).
std::string sequence_options(std::string_view identity) {
  const auto open = identity.find('(');
  return open == std::string_view::npos ? std::string() : trimmed(identity.substr(open));
}

// Options of an identity in the form that CREATE SEQUENCE takes.
std::string without_brackets(const std::string& options) {
  if (options.size() < 2) return {};
  return " " + options.substr(1, options.size() - 2);
}

struct column_plan {
  const sql::column_definition& column;
  std::string name;      // quoted
  std::string alter_it;  // "ALTER TABLE t ALTER COLUMN c "
};

// From a sequence that filled the rows to the column's own identity, behind the highest value.
void become_identity(draft& to, const column_plan& p, const sql::constraint_definition& identity,
                     const std::string& helper) {
  const std::string options = sequence_options(identity.range.in(to.input().text));
  const std::string table = quote_literal(to.facts().full_name());
  to.add(step_kind::brief,
         in_one_transaction(
             {p.alter_it + "DROP DEFAULT",
              p.alter_it + "ADD GENERATED " + (identity.identity_always ? "ALWAYS" : "BY DEFAULT") +
                  " AS IDENTITY" + (options.empty() ? "" : " " + options),
              "ALTER SEQUENCE " + helper + " OWNED BY NONE",  // one of the column's own is left
              "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence(" + table + ", " +
                  quote_literal(p.column.name) + "), last_value, is_called) FROM " + helper,
              "DROP SEQUENCE " + helper}),
         probe::identity(to.facts().oid, p.column.name));
}

}  // namespace

std::vector<std::string> key_to_walk_by(const relation_facts& table, int server_version) {
  const index_facts* best = nullptr;
  for (const auto& index : table.indexes) {
    const bool fit = index.unique && index.valid && index.method == "btree" && !index.has_expressions &&
                     !index.has_predicate && index.plain_order &&
                     std::all_of(index.columns.begin(), index.columns.end(), [&](const std::string& name) {
                       const auto* column = table.column(name);
                       return column && column->not_null;
                     });
    if (fit && (index.primary || !best)) best = &index;
  }
  if (table.kind == 'r' && !table.partitions.empty())
    throw not_planned("the children of a table have keys of their own, by which it can't be walked");
  if (best) return quoted(best->columns);
  if (!table.partitions.empty() || table.kind == 'p')
    throw not_planned("a table with children needs a primary key to be filled in batches");
  if (server_version < 140000)
    throw not_planned("before PostgreSQL 14 a table needs a primary key to be filled in batches");
  return {};
}

void plan_column(draft& to, const sql::alter_command& command) {
  const sql::column_definition& column = *command.column;
  const auto& table = to.facts();
  if (command.if_not_exists && table.column(column.name)) throw not_planned("the column is there already");
  if (column.find(constraint_kind::generated_stored))
    throw not_planned("a stored generated column has no online form");
  const auto type = to.input().catalog.type(column.type);
  if (type && type->domain_constrained && type->kind == 'd')
    throw not_planned("a column of a constrained domain has no online form");

  const column_plan p{column, quote_identifier(column.name),
                      to.alter() + "ALTER COLUMN " + quote_identifier(column.name) + " "};
  const auto* identity = column.find(constraint_kind::identity);
  const auto* value = column.find(constraint_kind::default_value);
  const bool null_default =
      value && value->value && value->value->shape == sql::expression_shape::null_constant;
  const bool is_volatile = volatility_of(column, to.input().catalog).is_volatile;
  const bool fills = is_volatile || identity || column.is_serial();
  const bool not_null = column.find(constraint_kind::not_null) || column.find(constraint_kind::primary_key) ||
                        identity || column.is_serial();
  if (not_null && !fills && (!value || null_default))
    throw not_planned("column " + p.name + " has no value for the rows that are there");
  if (fills) forbid_triggers(to, table);
  if (fills && table.hides_rows)
    throw not_planned("row level security of " + to.table().sql +
                      " would hide rows that are to be filled from this role");

  std::string head =
      trimmed(sql::text_range{column.range.begin, first_constraint(column)}.in(to.input().text));
  if (column.is_serial()) head = p.name + " " + type_sql(column);
  std::string add = to.alter() + "ADD COLUMN " + (command.if_not_exists ? "IF NOT EXISTS " : "") + head;
  if (value && value->value && !is_volatile) add += " DEFAULT " + value->value->text;
  if (value && value->value && !is_volatile && not_null) add += " NOT NULL";
  if (column.find(constraint_kind::generated_virtual))
    add += " " + std::string(column.find(constraint_kind::generated_virtual)->range.in(to.input().text));

  std::string sequence, helper;
  std::string source;  // what makes the values from now on
  std::string made;
  if (is_volatile && !value) {
    add += " DEFAULT NULL";  // keeps the domain's away, until nothing is rewritten for it
    source = p.alter_it + "DROP DEFAULT";
  } else if (is_volatile) {
    source = p.alter_it + "SET DEFAULT " + value->value->text;
  } else if (column.is_serial()) {
    sequence = to.beside(to.new_relation(column.name, "seq"));
    made = to.make_sequence(sequence, " AS " + type_sql(column), p.name);
    source = p.alter_it + "SET DEFAULT nextval(" + quote_literal(sequence) + "::regclass)";
  } else if (identity) {
    to.new_relation(column.name, "seq");  // that of the identity, later
    helper = to.beside(object_name(to.table(), column.name, "tidegate_fill"));
    made = to.make_sequence(helper,
                            " AS " + type_sql({"", column.type, "", {}, {}}) +
                                without_brackets(sequence_options(identity->range.in(to.input().text))),
                            p.name);
    source = p.alter_it + "SET DEFAULT nextval(" + quote_literal(helper) + "::regclass)";
  }

  // New rows are held to its checks from the start.
  std::vector<std::string> checks;
  std::string checked;
  for (const auto& c : column.constraints) {
    if (c.kind != constraint_kind::check || !c.value) continue;
    checks.push_back(c.name.empty() ? to.new_constraint(name_columns(c), "check") : c.name);
    checked += (checked.empty() ? "" : "; ") + to.alter() + "ADD CONSTRAINT " +
               quote_identifier(checks.back()) + " " + trimmed(without_name(c.range.in(to.input().text))) +
               " NOT VALID";
  }
  to.add(step_kind::brief, in_one_transaction({add, made, source, checked}),
         probe::column(table.oid, column.name), to.alter() + "DROP COLUMN IF EXISTS " + p.name);
  if (fills) {
    fill(to, column.name);
    if (not_null) plan_not_null(to, column.name);
  } else if (not_null) {
    to.makes_not_null(column.name);
  }
  if (identity) become_identity(to, p, *identity, helper);
  for (const auto& name : checks)
    to.add(step_kind::checking, to.alter() + "VALIDATE CONSTRAINT " + quote_identifier(name),
           probe::valid_constraint(table.oid, name));
  for (const auto& c : column.constraints) {
    const std::string text = trimmed(without_name(c.range.in(to.input().text)));
    if (c.kind == constraint_kind::foreign_key) {
      const std::string name = c.name.empty() ? to.new_constraint(column.name, "fkey") : c.name;
      plan_foreign_key(to, name, "FOREIGN KEY (" + p.name + ") " + text + deferral(c));
    } else if (c.kind == constraint_kind::unique || c.kind == constraint_kind::primary_key) {
      plan_key(to, c, text);  // `text` is without the column, which the definition has
    }
  }
}

}  // namespace tidegate::policies
