#include "policies/volatility.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

namespace tidegate::policies {
namespace {

// Functions that are known without a database: of pg_catalog, and of the extensions uuid-ossp and pgcrypto,
// whose names nobody else uses. Both lists are sorted and hold what defaults are made of; anything else
// counts as volatile. Source: pg_proc.provolatile of PostgreSQL 15, and of 18 for uuidv4 and uuidv7.
// clang-format off
constexpr std::string_view volatile_functions[] = {
    "clock_timestamp", "currval", "gen_random_bytes", "gen_random_uuid", "gen_salt", "lastval", "nextval",
    "random", "random_normal", "setval", "timeofday", "uuid_generate_v1", "uuid_generate_v1mc",
    "uuid_generate_v4", "uuidv4", "uuidv7"};
constexpr std::string_view steady_functions[] = {
    "abs", "age", "array_append", "array_cat", "array_fill", "array_prepend", "array_to_string", "btrim",
    "ceil", "ceiling", "concat", "concat_ws", "convert_from", "convert_to", "current_database",
    "current_schema", "current_setting", "date", "date_bin", "date_part", "date_trunc", "daterange", "decode",
    "div", "encode", "extract", "floor", "format", "inet_client_addr", "int4range", "int8range",
    "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object", "left", "length",
    "lower", "lpad", "ltrim", "make_date", "make_interval", "make_time", "make_timestamp", "make_timestamptz",
    "md5", "mod", "now", "numrange", "pg_backend_pid", "pg_current_xact_id", "power", "repeat", "replace",
    "reverse", "right", "round", "rpad", "rtrim", "sha256", "split_part", "statement_timestamp",
    "string_to_array", "substr", "substring", "timezone", "to_char", "to_date", "to_json", "to_jsonb",
    "to_timestamp", "to_tsvector", "transaction_timestamp", "trunc", "tsrange", "tstzrange", "txid_current",
    "upper", "version"};
// clang-format on

template <std::size_t Size>
bool contains(const std::string_view (&sorted)[Size], std::string_view name) {
  return std::binary_search(std::begin(sorted), std::end(sorted), name);
}

std::optional<bool> known_by_name(const sql::function_call& call) {
  const bool built_in = call.schema.empty() || call.schema == "pg_catalog";
  if (contains(volatile_functions, call.name)) return true;
  if (built_in && contains(steady_functions, call.name)) return false;
  return std::nullopt;
}

}  // namespace

volatility volatility_of(const sql::expression& value, const catalog_snapshot& catalog) {
  volatility worst;
  for (const auto& call : value.functions) {
    const std::string spelled = (call.schema.empty() ? "" : call.schema + ".") + call.name + "()";
    if (const auto facts = catalog.function(call)) {
      if (facts->volatility == 'v' && !facts->inlines_to_constant) return {true, spelled, ""};
      continue;
    }
    const auto known = known_by_name(call);
    if (known && *known) return {true, spelled, ""};
    if (!known && !worst.is_volatile) worst = {true, spelled, "the volatility of " + spelled};
  }
  return worst;
}

volatility volatility_of(const sql::column_definition& column, const catalog_snapshot& catalog) {
  const auto* value = column.find(sql::constraint_kind::default_value);
  if (value) return value->value ? volatility_of(*value->value, catalog) : volatility{};
  if (column.type.array_dimensions > 0 || column.type.percent_type || catalog.server_version < 130000)
    return {};
  const auto type = catalog.type(column.type);
  if (!type || !type->volatile_default) return {};
  return {true, "of domain " + column.type.text, ""};
}

}  // namespace tidegate::policies
