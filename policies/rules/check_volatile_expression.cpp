// PostgreSQL trusts a CHECK to stay true for a row that does not change. One that depends on the time, the
// session or another table does not: a dump of such rows may not restore.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace tidegate::policies {

const rule& check_volatile_expression_rule();

namespace {

// Functions of pg_catalog that checks are made of, known without a database (pg_proc.provolatile of
// PostgreSQL 15). Sorted.
// clang-format off
constexpr std::string_view changing_functions[] = {
    "age", "clock_timestamp", "current_database", "current_schema", "current_setting", "gen_random_uuid",
    "inet_client_addr", "now", "pg_backend_pid", "random", "statement_timestamp", "timeofday", "to_char",
    "to_date", "to_timestamp", "transaction_timestamp", "txid_current"};
constexpr std::string_view immutable_functions[] = {
    "abs", "array_length", "array_ndims", "array_position", "array_upper", "bit_length", "btrim",
    "cardinality", "ceil", "ceiling", "char_length", "character_length", "date_part", "div", "floor",
    "initcap", "isempty", "isfinite", "jsonb_array_length", "jsonb_typeof", "json_typeof", "left", "length",
    "lower", "lower_inc", "lpad", "ltrim", "masklen", "md5", "mod", "num_nonnulls", "num_nulls",
    "octet_length", "power", "regexp_match", "regexp_replace", "replace", "right", "round", "rtrim",
    "sign", "split_part", "sqrt", "starts_with", "strpos", "substr", "substring", "translate", "trunc",
    "upper", "upper_inc"};
// clang-format on

template <std::size_t Size>
bool contains(const std::string_view (&sorted)[Size], std::string_view name) {
  return std::find(std::begin(sorted), std::end(sorted), name) != std::end(sorted);
}

struct doubt {
  std::string because;      // "now()"
  std::string lacked_fact;  // the volatility was not to be had
};

std::optional<doubt> doubt_of(const sql::expression& value, const catalog_snapshot& catalog) {
  if (value.has_sql_value_function) return doubt{"the current time or user", {}};
  std::optional<doubt> unknown;
  for (const auto& call : value.functions) {
    const std::string spelled =
        sql::quote_name({.database = {}, .schema = call.schema, .name = call.name}) + "()";
    if (const auto facts = catalog.function(call)) {
      if (facts->volatility != 'i') return doubt{spelled, {}};
      continue;
    }
    const bool built_in = call.schema.empty() || call.schema == "pg_catalog";
    if (built_in && contains(changing_functions, call.name)) return doubt{spelled, {}};
    if (built_in && contains(immutable_functions, call.name)) continue;
    unknown = doubt{spelled, "whether " + spelled + " is IMMUTABLE"};
  }
  return unknown;
}

void check(const rule_input& input, findings& out) {
  const auto look = [&](const sql::constraint_definition& constraint, const std::string& owner,
                        const sql::qualified_name* table) {
    if (constraint.kind != sql::constraint_kind::check || !constraint.value) return;
    const auto found = doubt_of(*constraint.value, input.catalog);
    if (!found) return;
    finding f;
    if (table) f = finding_on(check_volatile_expression_rule(), subject_of(input, *table));
    f.lock = lock_level::none;
    f.at =
        constraint.range.end > constraint.range.begin ? constraint.range.begin : input.statement.range.begin;
    f.constraint = constraint.name;
    f.message =
        "a check constraint of " + owner + " depends on " + found->because + ", which is not immutable";
    f.detail =
        "Rows that satisfy it today may not do so tomorrow: PostgreSQL does not look again, and a dump of "
        "them "
        "may fail to restore.";
    f.lacked_fact = found->lacked_fact;
    f.hint =
        "Instead: check it in a BEFORE INSERT OR UPDATE trigger, or compare with a value kept in the row.";
    out.push_back(std::move(f));
  };
  const auto look_at_column = [&](const sql::column_definition& column, const std::string& owner,
                                  const sql::qualified_name& table) {
    for (const auto& constraint : column.constraints) look(constraint, owner, &table);
  };
  if (const auto* alter = input.statement.as<sql::alter_table>()) {
    const std::string owner = sql::quote_name(alter->relation);
    for (const auto& command : alter->commands) {
      if (command.constraint) look(*command.constraint, owner, &alter->relation);
      if (command.column) look_at_column(*command.column, owner, alter->relation);
    }
  } else if (const auto* create = input.statement.as<sql::create_table>()) {
    const std::string owner = sql::quote_name(create->relation);
    for (const auto& constraint : create->constraints) look(constraint, owner, &create->relation);
    for (const auto& column : create->columns) look_at_column(column, owner, create->relation);
  } else if (const auto* domain = input.statement.as<sql::alter_domain>()) {
    if (domain->constraint) look(*domain->constraint, "domain " + sql::quote_name(domain->domain), nullptr);
  }
}

}  // namespace

const rule& check_volatile_expression_rule() {
  static constexpr rule r{
      "check-volatile-expression",
      "a CHECK that depends on the time or the session rots, and its dump may not restore", hazard::advice,
      verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
