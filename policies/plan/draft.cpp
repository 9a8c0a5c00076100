#include "policies/plan/draft.hpp"

#include "policies/remedy.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <cstddef>

namespace tidegate::policies {
namespace {

using sql::quote_identifier;
using sql::quote_literal;

std::string exists(const std::string& query) {
  return "SELECT EXISTS (" + query + ")";
}

std::string attribute(std::uint32_t table, std::string_view name, std::string_view condition) {
  return exists("SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = " + std::to_string(table) +
                "::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = " +
                quote_literal(name) + std::string(condition));
}

std::string constraint_where(std::uint32_t table, std::string_view name, std::string_view condition) {
  return "SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = " + std::to_string(table) +
         "::pg_catalog.oid AND k.conname = " + quote_literal(name) + std::string(condition);
}

}  // namespace

draft::draft(const rule_input& input, subject table, bool only)
    : input_(input), table_(std::move(table)), only_(only) {
  relations_.insert(facts().taken.relations.begin(), facts().taken.relations.end());
  constraints_.insert(facts().taken.constraints.begin(), facts().taken.constraints.end());
  for (const auto& index : facts().indexes) relations_.insert(index.name);
  for (const auto& constraint : facts().constraints) constraints_.insert(constraint.name);
}

std::string draft::alter() const {
  return std::string("ALTER TABLE ") + (only_ ? "ONLY " : "") + table_.sql + " ";
}

std::string draft::beside(const std::string& name) const {
  return sql::quote_name({.database = {}, .schema = facts().schema, .name = name});
}

std::string draft::make_sequence(const std::string& name, const std::string& options,
                                 const std::string& column) const {
  const std::string owned_by = " OWNED BY " + table_.sql + "." + column;
  const std::string& owner = facts().owner;
  // PostgreSQL wants one owner of both; whoever is a member of the table's may be another.
  if (owner.empty() || input_.session.role.empty() || owner == input_.session.role)
    return "CREATE SEQUENCE " + name + options + owned_by;
  return in_one_transaction({"CREATE SEQUENCE " + name + options,
                             "ALTER SEQUENCE " + name + " OWNER TO " + quote_identifier(owner),
                             "ALTER SEQUENCE " + name + owned_by});
}

// ChooseConstraintName() and ChooseRelationName() of PostgreSQL.
std::string draft::new_constraint(const std::string& columns, std::string_view suffix) {
  std::string label(suffix);
  for (int pass = 0;; label = std::string(suffix) + std::to_string(++pass)) {
    std::string name = object_name(table_, columns, label);
    if (!constraints_.insert(name).second) continue;
    return name;
  }
}

std::string draft::new_relation(const std::string& columns, std::string_view suffix) {
  std::string label(suffix);
  for (int pass = 0;; label = std::string(suffix) + std::to_string(++pass)) {
    std::string name = object_name(table_, columns, label);
    if (relations_.contains(name) || (suffix != "seq" && constraints_.contains(name))) continue;
    takes(name);
    return name;
  }
}

void draft::takes(const std::string& name) {
  relations_.insert(name);
  constraints_.insert(name);
}

plan_step& draft::add(step_kind kind, std::string sql, std::string done, std::string undo) {
  plan_step step;
  step.kind = kind;
  const auto parsed = sql::parse(sql);
  if (!parsed.ok()) throw not_planned("a step of it can't be read back: " + parsed.error->message);
  step.locks = locks_of(sql, input_.catalog);
  step.sql = std::move(sql);
  step.done = std::move(done);
  step.undo = std::move(undo);
  return steps_.emplace_back(std::move(step));
}

namespace probe {

std::string column(std::uint32_t table, std::string_view name) {
  return attribute(table, name, "");
}

std::string not_null(std::uint32_t table, std::string_view column) {
  return attribute(table, column, " AND a.attnotnull");
}

std::string identity(std::uint32_t table, std::string_view column) {
  return attribute(table, column, " AND a.attidentity <> ''");
}

std::string collation(std::uint32_t table, std::string_view column, std::string_view name) {
  return attribute(
      table, column,
      " AND a.attcollation IN (SELECT o.oid FROM pg_catalog.pg_collation AS o WHERE o.collname = " +
          quote_literal(name) + ")");
}

std::string constraint(std::uint32_t table, std::string_view name) {
  return exists(constraint_where(table, name, ""));
}

std::string valid_constraint(std::uint32_t table, std::string_view name) {
  return exists(constraint_where(table, name, " AND k.convalidated"));
}

std::string no_constraint(std::uint32_t table, std::string_view name) {
  return "SELECT NOT EXISTS (" + constraint_where(table, name, "") + ")";
}

std::string valid_index(std::uint32_t table, std::string_view name) {
  return exists(
      "SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid WHERE "
      "i.indrelid = " +
      std::to_string(table) + "::pg_catalog.oid AND i.indisvalid AND c.relname = " + quote_literal(name));
}

std::string both(const std::string& a, const std::string& b) {
  return "SELECT (" + a + ") AND (" + b + ")";
}

}  // namespace probe

std::string in_one_transaction(std::initializer_list<std::string> statements) {
  std::string text;
  for (const auto& statement : statements) {
    if (statement.empty()) continue;
    text += (text.empty() ? "" : "; ") + statement;
  }
  return text;
}

}  // namespace tidegate::policies
