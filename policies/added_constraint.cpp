#include "policies/added_constraint.hpp"

#include "policies/relation_name.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

namespace tidegate::policies {

namespace {

using sql::constraint_kind;
using sql::quote_identifier;

char contype_of(constraint_kind kind) {
  switch (kind) {
    case constraint_kind::foreign_key:
      return 'f';
    case constraint_kind::primary_key:
      return 'p';
    case constraint_kind::unique:
      return 'u';
    default:
      return 'c';
  }
}

std::string alter(const std::string& table) {
  return "ALTER TABLE " + table + " ";
}

// The index and the constraint made of it, on one table.
void append_index_steps(steps& out, const added_constraint& added, const std::string& table,
                        const std::string& name) {
  const auto& definition = *added.definition;
  const std::string quoted = quote_identifier(name);
  out.push_back("CREATE UNIQUE INDEX CONCURRENTLY " + quoted + " ON " + table + " " +
                sql::quote_columns(definition.columns) +
                (definition.included.empty() ? "" : " INCLUDE " + sql::quote_columns(definition.included)) +
                (definition.nulls_not_distinct ? " NULLS NOT DISTINCT" : "") + ";");
  out.push_back(alter(table) + "ADD CONSTRAINT " + quoted +
                (definition.kind == constraint_kind::primary_key ? " PRIMARY KEY" : " UNIQUE") +
                " USING INDEX " + quoted + deferral(definition) + ";");
}

void append(steps& to, steps more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

std::string add_to_parent(const added_constraint& added) {
  return alter(added.table.sql) + "ADD CONSTRAINT " + quote_identifier(added.name) + " " + added.text +
         ";  -- adopts those of the partitions";
}

}  // namespace

std::string_view without_name(std::string_view text) {
  const sql::token_list tokens(text, {0, static_cast<sql::position>(text.size())}, false);
  if (!tokens.is_word(0, "constraint")) return text;
  const std::size_t behind = tokens.is_word(2, "uescape") ? 4 : 2;  // U&"…" UESCAPE '…'
  return behind < tokens.size() ? text.substr(tokens[behind].begin) : text;
}

std::string name_columns(const sql::constraint_definition& definition) {
  if (definition.kind == constraint_kind::primary_key) return {};
  if (definition.kind == constraint_kind::check)
    return definition.value && definition.value->columns.size() == 1 ? definition.value->columns.front() : "";
  std::string columns;
  for (const auto* list : {&definition.columns, &definition.included})
    for (const auto& column : *list) columns += (columns.empty() ? "" : "_") + column;
  return columns;
}

std::string_view name_suffix(constraint_kind kind) {
  switch (kind) {
    case constraint_kind::check:
      return "check";
    case constraint_kind::foreign_key:
      return "fkey";
    case constraint_kind::primary_key:
      return "pkey";
    case constraint_kind::exclusion:
      return "excl";
    default:
      return "key";
  }
}

// DEFERRABLE and its like, which belong to the constraint and not to the index.
std::string deferral(const sql::constraint_definition& definition) {
  std::string text;
  if (definition.deferrable) text += " DEFERRABLE";
  if (definition.initially_deferred) text += " INITIALLY DEFERRED";
  return text;
}

std::vector<added_constraint> added_constraints(const rule_input& input, constraint_kind kind) {
  std::vector<added_constraint> out;
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement || statement->kind == sql::object_kind::foreign_table) return out;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing || table.is('f')) return out;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::add_constraint || !command.constraint ||
        command.constraint->kind != kind)
      continue;
    const auto& definition = *command.constraint;
    added_constraint added{table, statement, &command, &definition, definition.name, {}};
    if (added.name.empty()) added.name = object_name(table, name_columns(definition), name_suffix(kind));
    added.text = without_name(definition.range.in(input.text));
    out.push_back(std::move(added));
  }
  return out;
}

finding finding_on(const rule& rule, const added_constraint& added) {
  finding f = finding_on(rule, added.table);
  const auto range = added.definition->range.end > added.definition->range.begin ? added.definition->range
                                                                                 : added.command->range;
  if (range.end > range.begin) f.at = range.begin;
  if (added.definition->kind == constraint_kind::foreign_key) f.lock = lock_level::share_row_exclusive;
  f.constraint = added.definition->name;
  return f;
}

steps validate_later_steps(const added_constraint& added, int server_version) {
  const std::string name = quote_identifier(added.name);
  const auto on = [&](const std::string& table) {
    return steps{alter(table) + "ADD CONSTRAINT " + name + " " + added.text + " NOT VALID;",
                 alter(table) + "VALIDATE CONSTRAINT " + name + ";"};
  };
  const bool refuses_not_valid = added.definition->kind == constraint_kind::foreign_key &&
                                 added.table.is('p') && server_version < 180000;
  if (!refuses_not_valid) return on(added.table.sql);
  steps out;
  for (const auto& partition : added.table.facts->partitions) append(out, on(partition));
  out.push_back(add_to_parent(added));
  return out;
}

steps use_index_steps(const added_constraint& added, int server_version) {
  steps out;
  if (added.definition->kind == constraint_kind::primary_key)
    for (const auto& column : added.definition->columns)
      if (!added.table.facts || !is_known_not_null(*added.table.facts, column, server_version))
        append(out, set_not_null_steps(added.table, column, server_version));
  if (!added.table.is('p')) {
    append_index_steps(out, added, added.table.sql, added.name);
    return out;
  }
  for (const auto& partition : added.table.facts->partitions) {
    const auto written = split_full_name(partition);
    subject table;
    table.written = &written;
    append_index_steps(
        out, added, partition,
        object_name(table, name_columns(*added.definition), name_suffix(added.definition->kind)));
  }
  out.push_back(add_to_parent(added));
  return out;
}

bool partitions_have_it(const added_constraint& added, const catalog_snapshot& catalog) {
  if (!added.table.is('p') || added.table.facts->partitions.empty()) return false;
  const auto& definition = *added.definition;
  std::string referenced;
  if (definition.referenced) {
    const auto facts = catalog.relation(*definition.referenced);
    if (!facts) return false;
    referenced = facts->full_name();
  }
  const auto& partitions = added.table.facts->partitions;
  return std::all_of(partitions.begin(), partitions.end(), [&](const std::string& name) {
    const auto partition = catalog.relation_by_full_name(name);
    return partition && std::any_of(partition->constraints.begin(), partition->constraints.end(),
                                    [&](const constraint_facts& constraint) {
                                      return constraint.kind == contype_of(definition.kind) &&
                                             constraint.validated &&
                                             constraint.columns == definition.columns &&
                                             constraint.referenced == referenced;
                                    });
  });
}

bool is_known_not_null(const relation_facts& table, const std::string& column, int server_version) {
  const auto contains = [&](const std::vector<std::string>& columns) {
    return std::find(columns.begin(), columns.end(), column) != columns.end();
  };
  const auto* facts = table.column(column);
  const bool awaits_validation = std::any_of(
      table.constraints.begin(), table.constraints.end(), [&](const constraint_facts& constraint) {
        return constraint.kind == 'n' && !constraint.validated && contains(constraint.columns);
      });
  if (facts && facts->not_null && !awaits_validation) return true;
  if (server_version < 120000) return false;
  return std::any_of(table.constraints.begin(), table.constraints.end(),
                     [&](const constraint_facts& constraint) {
                       if (constraint.kind != 'c' || !constraint.validated || !constraint.enforced)
                         return false;
                       const auto expression = sql::parse_expression(constraint.expression);
                       return expression && contains(expression->proves_not_null);
                     });
}

}  // namespace tidegate::policies
