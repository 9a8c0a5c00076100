#include "policies/type_change.hpp"

#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace tidegate::policies {
namespace {

using sql::expression_shape;

constexpr int header_bytes = 4;  // VARHDRSZ, counted into the modifiers of varchar, char and numeric
constexpr int interval_full_range = 0x7FFF;
constexpr int interval_full_precision = 0xFFFF;
constexpr int max_time_precision = 6;

struct spelling {
  std::string_view stored, written;
};
// How SQL spells types whose stored names differ. Sorted by the stored name.
constexpr spelling spellings[] = {
    {"bool", "boolean"},  {"bpchar", "char"},  {"float4", "real"}, {"float8", "double precision"},
    {"int2", "smallint"}, {"int4", "integer"}, {"int8", "bigint"}, {"timetz", "time with time zone"},
};

// Types of pg_catalog that columns are made of, and of extensions whose types are no domains. Sorted.
// clang-format off
constexpr std::string_view built_in_types[] = {
    "bit", "bool", "box", "bpchar", "bytea", "char", "cidr", "circle", "date", "datemultirange", "daterange",
    "float4", "float8", "inet", "int2", "int2vector", "int4", "int4multirange", "int4range", "int8",
    "int8multirange", "int8range", "interval", "json", "jsonb", "jsonpath", "line", "lseg", "macaddr",
    "macaddr8", "money", "name", "numeric", "nummultirange", "numrange", "oid", "oidvector", "path", "pg_lsn",
    "pg_snapshot", "point", "polygon", "regclass", "regcollation", "regconfig", "regdictionary",
    "regnamespace", "regoper", "regoperator", "regproc", "regprocedure", "regrole", "regtype", "text", "tid",
    "time", "timestamp", "timestamptz", "timetz", "tsmultirange", "tsquery", "tsrange", "tstzmultirange",
    "tstzrange", "tsvector", "txid_snapshot", "uuid", "varbit", "varchar", "xid", "xid8", "xml"};
constexpr std::string_view extension_types[] = {
    "box2d", "box3d", "citext", "cube", "ean13", "geography", "geometry", "halfvec", "hstore", "isbn", "lquery",
    "ltree", "ltxtquery", "raster", "seg", "sparsevec", "vector"};
// Casts of pg_cast with castmethod 'b' besides those between oid, int4 and the reg types, and of citext.
constexpr std::pair<std::string_view, std::string_view> binary_casts[] = {
    {"bit", "varbit"}, {"cidr", "inet"}, {"citext", "text"}, {"citext", "varchar"}, {"citext", "bpchar"},
    {"text", "bpchar"}, {"text", "citext"}, {"text", "varchar"}, {"varbit", "bit"}, {"varchar", "bpchar"},
    {"varchar", "citext"}, {"varchar", "text"}, {"xml", "bpchar"}, {"xml", "text"}, {"xml", "varchar"}};
// Zones whose offset is zero at all times.
constexpr std::string_view zero_zones[] = {
    "<+00>+00", "etc/gmt", "etc/gmt+0", "etc/gmt-0", "etc/gmt0", "etc/greenwich", "etc/uct", "etc/universal",
    "etc/utc", "etc/zulu", "gmt", "gmt+0", "gmt-0", "gmt0", "greenwich", "uct", "universal", "utc", "zulu"};
// clang-format on

template <std::size_t Size>
bool contains(const std::string_view (&sorted)[Size], std::string_view name) {
  return std::binary_search(std::begin(sorted), std::end(sorted), name);
}

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_array(const stored_type& type) {
  return type.name.size() > 1 && type.name[0] == '_';
}

bool is_object_id(std::string_view name) {
  return name == "oid" || name == "int4" || (name.starts_with("reg") && contains(built_in_types, name));
}

bool is_binary_cast(std::string_view from, std::string_view to) {
  if (std::find(std::begin(binary_casts), std::end(binary_casts), std::pair{from, to}) !=
      std::end(binary_casts))
    return true;
  if (!is_object_id(from) || !is_object_id(to)) return false;
  const auto both = [&](std::string_view a, std::string_view b) {
    return (from == a && to == b) || (from == b && to == a);
  };
  return one_of(from, {"oid", "int4"}) || one_of(to, {"oid", "int4"}) || both("regproc", "regprocedure") ||
         both("regoper", "regoperator");
}

// Types with one default operator class share a letter; the others have their own name.
std::string_view operator_class(std::string_view type) {
  if (one_of(type, {"text", "varchar"})) return "text";
  if (one_of(type, {"inet", "cidr"})) return "inet";
  if (type.starts_with("reg")) return "oid";
  return type;
}

// The field that an interval's range ends in: 0 seconds … 5 years (intervaltypmodleastfield()).
int least_field(int range) {
  constexpr int year = 1 << 2, month = 1 << 1, day = 1 << 3, hour = 1 << 10, minute = 1 << 11,
                second = 1 << 12;
  if (range == interval_full_range || (range & second)) return 0;
  if (range & minute) return 1;
  if (range & hour) return 2;
  if (range & day) return 3;
  if (range & month) return 4;
  return (range & year) ? 5 : 0;
}

std::int32_t modifier_of(std::string_view type, const std::vector<std::int64_t>& written) {
  if (written.empty()) return -1;
  const auto first = static_cast<std::int32_t>(written[0]);
  const auto second = written.size() > 1 ? static_cast<std::int32_t>(written[1]) : 0;
  if (one_of(type, {"varchar", "bpchar"})) return first + header_bytes;
  if (type == "numeric") return ((first << 16) | (second & 0x7FF)) + header_bytes;
  if (type == "interval") {
    const int precision = written.size() > 1 ? second : interval_full_precision;
    if (first == interval_full_range && precision == interval_full_precision) return -1;
    return static_cast<std::int32_t>((static_cast<std::uint32_t>(first & 0x7FFF) << 16) |
                                     static_cast<std::uint32_t>(precision & 0xFFFF));
  }
  if (one_of(type, {"time", "timetz", "timestamp", "timestamptz"}))
    return std::min(first, max_time_precision);
  return first;
}

int numeric_precision(std::int32_t modifier) {
  return ((modifier - header_bytes) >> 16) & 0xFFFF;
}
// Scales are 11 bits with a sign since 15.
int numeric_scale(std::int32_t modifier) {
  return (((modifier - header_bytes) & 0x7FF) ^ 1024) - 1024;
}

// The length coercion is dropped by the planner: the modifier alone costs nothing.
bool modifier_is_free(std::string_view type, std::int32_t from, std::int32_t to) {
  if (to < 0 || from == to) return true;
  if (type == "varchar") return from >= 0 && from <= to;
  if (type == "varbit") return from > 0 && from <= to;
  if (type == "numeric")
    return from >= header_bytes && numeric_scale(from) == numeric_scale(to) &&
           numeric_precision(from) <= numeric_precision(to);
  if (one_of(type, {"time", "timetz", "timestamp", "timestamptz"}))
    return to >= max_time_precision || (from >= 0 && from <= to);
  if (type == "interval") {
    const auto range = [](std::int32_t m) { return m < 0 ? interval_full_range : (m >> 16) & 0x7FFF; };
    const auto precision = [](std::int32_t m) { return m < 0 ? interval_full_precision : m & 0xFFFF; };
    return least_field(range(to)) <= least_field(range(from)) &&
           (least_field(range(from)) > 0 || precision(to) >= max_time_precision ||
            precision(to) >= precision(from));
  }
  return false;
}

bool is_zero_zone(const std::string& zone) {
  return contains(zero_zones, sql::folded(zone));
}

// Neither is a domain.
bool pair_rewrites(const stored_type& from, const stored_type& to, const catalog_snapshot& catalog) {
  if (from.schema == to.schema && from.name == to.name)
    return is_array(to) ? to.modifier >= 0 && from.modifier != to.modifier
                        : !modifier_is_free(to.name, from.modifier, to.modifier);
  const bool between_timestamps = (from.name == "timestamp" && to.name == "timestamptz") ||
                                  (from.name == "timestamptz" && to.name == "timestamp");
  if (between_timestamps) {
    if (catalog.server_version < 120000 || !is_zero_zone(catalog.time_zone)) return true;
  } else if (!is_binary_cast(from.name, to.name)) {
    return true;
  }
  return !modifier_is_free(to.name, -1, to.modifier);
}

// Decimal digits before the point that every value of an integer type fits in.
int integer_digits(std::string_view type) {
  if (type == "int2") return 5;
  if (type == "int4" || type == "oid") return 10;
  return type == "int8" ? 19 : 0;
}

bool length_narrows(std::int32_t from, std::int32_t to) {
  return to >= 0 && (from < 0 || to < from);
}

bool pair_narrows(const stored_type& from, const stored_type& to) {
  const int from_digits = integer_digits(from.name), to_digits = integer_digits(to.name);
  const bool textual = one_of(from.name, {"text", "varchar", "bpchar", "citext", "name"});
  if (textual && one_of(to.name, {"varchar", "bpchar"})) return length_narrows(from.modifier, to.modifier);
  if (from_digits > 0 && to_digits > 0) return to_digits < from_digits;
  if (from.name == "numeric") {
    if (to_digits > 0)
      return from.modifier < 0 || numeric_scale(from.modifier) > 0 ||
             numeric_precision(from.modifier) - numeric_scale(from.modifier) >= to_digits;
    if (one_of(to.name, {"float4", "float8", "money"})) return true;
  }
  if (to.name == "numeric") {
    if (to.modifier < 0) return false;
    const int scale = numeric_scale(to.modifier);
    const int whole = numeric_precision(to.modifier) - scale;
    if (from_digits > 0) return whole < from_digits;
    if (from.name != "numeric") return one_of(from.name, {"float4", "float8"});
    return from.modifier < 0 || scale < numeric_scale(from.modifier) ||
           whole < numeric_precision(from.modifier) - numeric_scale(from.modifier);
  }
  if (one_of(from.name, {"float4", "float8"}))
    return to_digits > 0 || (from.name == "float8" && to.name == "float4");
  if (from_digits > 0 && to.name == "float4") return from_digits > 5;
  if (from.name == "int8" && to.name == "float8") return true;
  const bool moment = one_of(from.name, {"timestamp", "timestamptz"});
  if (moment && one_of(to.name, {"date", "time", "timetz"})) return true;
  if (moment && one_of(to.name, {"timestamp", "timestamptz"}))
    return to.modifier >= 0 && to.modifier < (from.modifier < 0 ? max_time_precision : from.modifier);
  if (from.name != to.name) return false;
  if (one_of(to.name, {"time", "timetz"}))
    return to.modifier >= 0 && to.modifier < (from.modifier < 0 ? max_time_precision : from.modifier);
  if (to.name == "interval") return !modifier_is_free(to.name, from.modifier, to.modifier);
  return one_of(to.name, {"bit", "varbit"}) && length_narrows(from.modifier, to.modifier);
}

// A type with its domain, if it is one, taken off.
struct based {
  stored_type type;  // the base type
  bool known = true;
  bool is_domain = false;
  bool constrained = false;
};

based base_of(const stored_type& type, const catalog_snapshot& catalog) {
  if (type.schema == "pg_catalog" || contains(extension_types, type.name) || is_array(type)) return {type};
  sql::type_name name;
  name.schema = type.schema;
  name.name = type.name;
  const auto found = catalog.type(name);
  if (!found) return {type, false};
  if (found->kind != 'd') return {type};
  return {{found->base_schema, found->base, found->base_modifier}, true, true, found->domain_constrained};
}

based written_base(const sql::type_name& written, const stored_type& type, const catalog_snapshot& catalog) {
  if (written.array_dimensions > 0) return {type};
  if (const auto found = catalog.type(written)) {
    if (found->kind != 'd') return {type};
    return {{found->base_schema, found->base, found->base_modifier}, true, true, found->domain_constrained};
  }
  return base_of(type, catalog);
}

// One step of a conversion; a chain of casts is several.
void step(type_change& change, const stored_type& from, const sql::type_name& written, const stored_type& to,
          const catalog_snapshot& catalog) {
  const based source = base_of(from, catalog);
  const based target = written_base(written, to, catalog);
  const bool same_name = from.schema == to.schema && from.name == to.name;
  if (same_name && (source.is_domain || target.is_domain)) return;  // a domain has no modifier of its own
  const auto not_known = [&](const stored_type& type) {
    change.rewrites = true;
    change.lacked_fact = "whether the type " + in_words(type) + " is a domain, and over what";
  };
  if (!same_name && !target.known) return not_known(to);
  if (!same_name && !source.known) return not_known(from);
  if (target.is_domain && target.constrained) change.rewrites = true;
  stored_type inner = source.type;
  if (source.is_domain) inner.modifier = -1;  // the relabelled value carries no modifier
  change.rewrites |= pair_rewrites(inner, target.type, catalog);
  change.narrows |= pair_narrows(source.type, target.type);
  change.changes_indexes |= operator_class(source.type.name) != operator_class(target.type.name);
}

}  // namespace

std::string in_words(const stored_type& type) {
  if (is_array(type)) return in_words({type.schema, type.name.substr(1), type.modifier}) + "[]";
  std::string text = type.name;
  for (const auto& s : spellings)
    if (s.stored == type.name) text = s.written;
  if (type.modifier < 0) return text;
  if (one_of(type.name, {"varchar", "bpchar"}))
    return text + "(" + std::to_string(type.modifier - header_bytes) + ")";
  if (type.name == "numeric")
    return text + "(" + std::to_string(numeric_precision(type.modifier)) + "," +
           std::to_string(numeric_scale(type.modifier)) + ")";
  if (one_of(type.name, {"time", "timetz", "timestamp", "timestamptz", "bit", "varbit"}))
    return text + "(" + std::to_string(type.modifier) + ")";
  return text;
}

bool is_well_known(const sql::type_name& written) {
  const bool built_in = written.schema.empty() || written.schema == "pg_catalog";
  return (built_in && contains(built_in_types, written.name)) || contains(extension_types, written.name);
}

std::optional<stored_type> resolve(const sql::type_name& written, const catalog_snapshot& catalog) {
  if (written.percent_type) return std::nullopt;
  stored_type type;
  if (const auto found = catalog.type(written)) {
    type = {found->schema, found->name, -1};
  } else if (is_well_known(written)) {
    const bool extension = contains(extension_types, written.name);
    type = {extension ? written.schema : "pg_catalog", written.name, -1};
  } else {
    type = {written.schema, written.name, -1};
  }
  type.modifier = modifier_of(type.name, written.modifiers);
  if (written.array_dimensions > 0 && !is_array(type)) type.name.insert(0, 1, '_');
  return type;
}

type_change change_of(const sql::alter_command& command, const column_facts* column,
                      const catalog_snapshot& catalog, const std::string& written_column) {
  type_change change;
  const auto& written = command.column->type;
  const auto to = resolve(written, catalog);
  change.to = to ? in_words(*to) : written.text;
  const auto& value = command.value;
  const bool computed =
      value && value->shape != expression_shape::column && value->shape != expression_shape::cast_column;
  const bool other_column =
      value && !computed && (value->columns.empty() || value->columns[0] != command.name);
  if (!column || !to) {
    change.rewrites = change.visible = true;
    if (column) change.from = in_words({column->type_schema, column->type, column->type_modifier});
    if (!computed && !other_column)
      change.lacked_fact = !column ? "the current type of " + written_column : "the type " + written.text;
    return change;
  }
  stored_type from{column->type_schema, column->type, column->type_modifier};
  change.from = in_words(from);
  // Types of extensions live in any schema: the one that the column has is meant.
  stored_type target = *to;
  if (target.schema.empty() && (target.name == from.name || contains(extension_types, target.name)))
    target.schema = target.name == from.name ? from.schema : target.schema;
  change.visible = from != target;
  if (computed || other_column) {
    step(change, from, written, target, catalog);
    change.rewrites = true;
    change.lacked_fact.clear();
    return change;
  }
  if (value && value->shape == expression_shape::cast_column) {
    for (const auto& cast : value->casts) {
      const auto next = resolve(cast, catalog);
      if (!next) {
        change.rewrites = true;
        change.lacked_fact = "the type " + cast.text;
        return change;
      }
      stored_type between = *next;
      if (between.schema.empty() && between.name == from.name) between.schema = from.schema;
      step(change, from, cast, between, catalog);
      from = between;
    }
  }
  step(change, from, written, target, catalog);
  if (change.rewrites) change.changes_indexes = false;
  return change;
}

}  // namespace tidegate::policies
