#include "policies/partitioning.hpp"

#include "policies/relation_name.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/predicate.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::policies {

namespace {

using sql::constant;
using sql::predicate;
using form = predicate::form;
using ordering = std::optional<std::strong_ordering>;  // none: which comes first is not known

bool is_any(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_number(std::string_view type) {
  return is_any(type, {"int2", "int4", "int8", "numeric", "oid"});
}

bool is_text(std::string_view type) {
  return is_any(type, {"text", "varchar"});
}

// The comparison is one of the column's own type, as in the bound: `k = 1.5` of an integer is another.
bool fits(const constant& value, std::string_view column_type) {
  return value.type.empty() || value.type == column_type ||
         (is_number(column_type) && is_number(value.type)) || (is_text(column_type) && is_text(value.type));
}

template <class Integer>
bool read_digits(std::string_view& text, std::size_t digits, Integer& out) {
  if (text.size() < digits) return false;
  const auto read = std::from_chars(text.data(), text.data() + digits, out);
  if (read.ec != std::errc() || read.ptr != text.data() + digits) return false;
  text.remove_prefix(digits);
  return true;
}

bool skip(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  // days since 1970-01-01 in the proleptic Gregorian calendar, by the count of leap days before 1 March
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = year / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// "2025-01-01 10:00:00.5+02" in microseconds; the form in which PostgreSQL writes ISO dates and most people
// do.
std::optional<std::int64_t> read_moment(std::string_view text, std::string_view type, bool session_is_utc) {
  constexpr std::int64_t second = 1'000'000;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, seconds = 0;
  if (!read_digits(text, 4, year) || !skip(text, "-") || !read_digits(text, 2, month) || !skip(text, "-") ||
      !read_digits(text, 2, day) || month < 1 || month > 12 || day < 1 || day > 31)
    return std::nullopt;
  std::int64_t micros = days_from_civil(year, month, day) * 86'400 * second;
  const bool has_time = !text.empty();
  if (type == "date") return has_time ? std::nullopt : std::optional(micros);
  if (has_time) {
    if (!skip(text, " T") || !read_digits(text, 2, hour) || !skip(text, ":") || !read_digits(text, 2, minute))
      return std::nullopt;
    if (skip(text, ":") && !read_digits(text, 2, seconds)) return std::nullopt;
    if (skip(text, "."))
      for (std::int64_t unit = second / 10;
           !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
           unit /= 10, text.remove_prefix(1))
        micros += unit * (text[0] - '0');
  }
  micros += ((hour * 60 + minute) * 60 + seconds) * second;
  if (type == "timestamp") return text.empty() ? std::optional(micros) : std::nullopt;
  if (text.empty()) return session_is_utc ? std::optional(micros) : std::nullopt;
  if (text == "Z") return micros;
  const bool west = text.front() == '-';
  if (!skip(text, "+-") || !read_digits(text, 2, hour)) return std::nullopt;
  minute = 0;
  skip(text, ":");
  if (!text.empty() && !read_digits(text, 2, minute)) return std::nullopt;
  const std::int64_t offset = (hour * 60 + minute) * 60 * second;
  return text.empty() ? std::optional(west ? micros + offset : micros - offset) : std::nullopt;
}

std::optional<std::int64_t> read_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() ? std::optional(value)
                                                                         : std::nullopt;
}

bool consists_of(std::string_view text, char first, char last) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return c >= first && c <= last; });
}

// How constants of the key's type are ordered.
class key_order {
 public:
  key_order(std::string type, const std::string& time_zone)
      : type_(std::move(type)),
        session_is_utc_(is_any(time_zone, {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "utc", "gmt"})) {}

  const std::string& type() const { return type_; }

  ordering compare(const std::string& a, const std::string& b) const {
    if (a == b) return std::strong_ordering::equal;
    if (is_number(type_)) return compare_as(read_integer(a), read_integer(b));
    if (is_any(type_, {"date", "timestamp", "timestamptz"}))
      return compare_as(read_moment(a, type_, session_is_utc_), read_moment(b, type_, session_is_utc_));
    // words of letters of one case, and digits, stand in the same order under every collation
    const bool alike = (consists_of(a, 'a', 'z') && consists_of(b, 'a', 'z')) ||
                       (consists_of(a, 'A', 'Z') && consists_of(b, 'A', 'Z')) ||
                       (a.size() == b.size() && consists_of(a, '0', '9') && consists_of(b, '0', '9'));
    return is_text(type_) && alike ? ordering(a <=> b) : std::nullopt;
  }

 private:
  static ordering compare_as(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
    return a && b ? ordering(*a <=> *b) : std::nullopt;
  }

  std::string type_;
  bool session_is_utc_;
};

// The line of values, cut at every constant in question: before the first, at the first, between the first
// and the second, …, and NULL as the last cell. A condition is true on some cells and false on some; on the
// others it is NULL, or nothing is known. A CHECK lets pass what is not false.
struct truth {
  std::vector<bool> holds, fails;
};

class value_line {
 public:
  value_line(const key_order& order, std::string column) : order_(order), column_(std::move(column)) {}

  // Every constant that `condition` compares the key with, before anything is evaluated.
  void add_points(const predicate& condition) {
    std::vector<const predicate*> open{&condition};
    while (!open.empty()) {
      const predicate& here = *open.back();
      open.pop_back();
      for (const auto& operand : here.operands) open.push_back(&operand);
      if (concerns_key(here))
        for (const auto& each : here.constants) points_.push_back(each.value);
    }
  }

  void sort() {
    std::sort(points_.begin(), points_.end());
    points_.erase(std::unique(points_.begin(), points_.end()), points_.end());
    ordered_ = points_.size() <= most_points;
    if (!ordered_) return;
    for (const auto& a : points_)
      for (const auto& b : points_) ordered_ = ordered_ && order_.compare(a, b).has_value();
    if (!ordered_) return;  // equal or not is all that can be said
    std::sort(points_.begin(), points_.end(),
              [&](const std::string& a, const std::string& b) { return *order_.compare(a, b) < 0; });
    const auto same = [&](const std::string& a, const std::string& b) { return *order_.compare(a, b) == 0; };
    points_.erase(std::unique(points_.begin(), points_.end(), same), points_.end());
  }

  bool ordered() const { return ordered_; }
  bool too_long() const { return points_.size() > most_points; }
  std::size_t cells() const { return 2 * points_.size() + 2; }
  std::size_t null_cell() const { return cells() - 1; }

  truth evaluate(const predicate& condition) const {
    truth result{std::vector<bool>(cells(), false), std::vector<bool>(cells(), false)};
    switch (condition.what) {
      case form::all_of:
      case form::any_of: {
        const bool all = condition.what == form::all_of;
        auto& every = all ? result.holds : result.fails;
        auto& some = all ? result.fails : result.holds;
        every.assign(cells(), true);
        for (const auto& operand : condition.operands) {
          const truth part = evaluate(operand);
          for (std::size_t i = 0; i < cells(); ++i) {
            every[i] = every[i] && (all ? part.holds : part.fails)[i];
            some[i] = some[i] || (all ? part.fails : part.holds)[i];
          }
        }
        break;
      }
      case form::negation:
        if (condition.operands.size() == 1) {
          result = evaluate(condition.operands.front());
          std::swap(result.holds, result.fails);
        }
        break;
      case form::is_null:
      case form::is_not_null:
        if (condition.column != column_) break;
        for (std::size_t i = 0; i < cells(); ++i)
          ((i == null_cell()) == (condition.what == form::is_null) ? result.holds : result.fails)[i] = true;
        break;
      case form::comparison:
      case form::one_of:
        if (concerns_key(condition)) compare(condition, result);
        break;
      case form::opaque:
        break;
    }
    return result;
  }

 private:
  bool concerns_key(const predicate& condition) const {
    if ((condition.what != form::comparison && condition.what != form::one_of) || condition.column != column_)
      return false;
    const bool own_type = condition.column_type.empty() || condition.column_type == order_.type() ||
                          (is_text(order_.type()) && is_text(condition.column_type));
    return own_type && std::all_of(condition.constants.begin(), condition.constants.end(),
                                   [&](const constant& each) { return fits(each, order_.type()); });
  }

  std::size_t cell_of(const std::string& value) const {
    for (std::size_t i = 0; i < points_.size(); ++i)
      if (points_[i] == value || (ordered_ && *order_.compare(points_[i], value) == 0)) return 2 * i + 1;
    return null_cell();  // not reached: every constant was added
  }

  void compare(const predicate& condition, truth& result) const {
    const bool needs_order =
        condition.what == form::comparison && condition.op != "=" && condition.op != "<>";
    if (needs_order && !ordered_) return;
    std::vector<std::size_t> at;
    for (const auto& each : condition.constants) at.push_back(cell_of(each.value));
    for (std::size_t i = 0; i < null_cell(); ++i) {
      const bool equal = std::find(at.begin(), at.end(), i) != at.end();
      bool holds = equal;
      if (condition.op == "<>") holds = !equal;
      if (condition.op == "<") holds = i < at.front();
      if (condition.op == "<=") holds = i <= at.front();
      if (condition.op == ">") holds = i > at.front();
      if (condition.op == ">=") holds = i >= at.front();
      (holds ? result.holds : result.fails)[i] = true;
    }
  }

  // Each is compared with each: lists that are longer prove nothing.
  static constexpr std::size_t most_points = 200;

  const key_order& order_;
  std::string column_;
  std::vector<std::string> points_;
  bool ordered_ = false;
};

predicate join(form what, std::vector<predicate> operands) {
  predicate joined;
  joined.what = what;
  joined.operands = std::move(operands);
  return joined;
}

predicate about(form what, const std::string& column) {
  predicate test;
  test.what = what;
  test.column = column;
  return test;
}

// The constraint that PostgreSQL makes of a bound; none: it can't be said with constants of one column.
std::optional<predicate> condition_of(const sql::partition_bound& bound, const std::string& column) {
  const auto compare = [&](std::string op, const sql::bound_value& value) {
    predicate one = about(form::comparison, column);
    one.op = std::move(op);
    one.constants.push_back({value.text, {}});
    return one;
  };
  const auto is_constant = [](const sql::bound_value& value) {
    return value.what != sql::bound_kind::expression;
  };
  if (bound.strategy == 'r') {
    if (bound.lower.size() != 1 || bound.upper.size() != 1 || !is_constant(bound.lower.front()) ||
        !is_constant(bound.upper.front()))
      return std::nullopt;
    std::vector<predicate> parts{about(form::is_not_null, column)};
    if (bound.lower.front().what == sql::bound_kind::value)
      parts.push_back(compare(">=", bound.lower.front()));
    if (bound.upper.front().what == sql::bound_kind::value)
      parts.push_back(compare("<", bound.upper.front()));
    return join(form::all_of, std::move(parts));
  }
  if (bound.strategy != 'l' || !std::all_of(bound.values.begin(), bound.values.end(), is_constant))
    return std::nullopt;
  predicate listed = about(form::one_of, column);
  bool has_null = false;
  for (const auto& value : bound.values) {
    has_null = has_null || value.what == sql::bound_kind::null;
    if (value.what == sql::bound_kind::value) listed.constants.push_back({value.text, {}});
  }
  if (has_null) {
    std::vector<predicate> parts{about(form::is_null, column)};
    if (!listed.constants.empty()) parts.push_back(std::move(listed));
    return join(form::any_of, std::move(parts));
  }
  return join(form::all_of, {about(form::is_not_null, column), std::move(listed)});
}

// Whatever the valid constraints of the table let pass, the condition lets pass.
bool implies(const relation_facts& table, const std::string& column, const predicate& condition,
             bool needs_order, const catalog_snapshot& catalog) {
  const auto* facts = table.column(column);
  if (!facts) return false;
  const key_order order(facts->type, catalog.time_zone);
  std::vector<predicate> checks;
  for (const auto& constraint : table.constraints) {
    if (constraint.kind != 'c' || !constraint.validated || !constraint.enforced) continue;
    if (auto check = sql::parse_predicate(constraint.expression)) checks.push_back(std::move(*check));
  }
  value_line line(order, column);
  line.add_points(condition);
  for (const auto& check : checks) line.add_points(check);
  line.sort();
  if (line.too_long() || (needs_order && !line.ordered())) return false;
  const truth wanted = line.evaluate(condition);
  std::vector<bool> possible(line.cells(), true);
  if (facts->not_null) possible[line.null_cell()] = false;
  for (const auto& check : checks) {
    const truth given = line.evaluate(check);
    for (std::size_t i = 0; i < line.cells(); ++i)
      if (given.fails[i]) possible[i] = false;
  }
  for (std::size_t i = 0; i < line.cells(); ++i)
    if (possible[i] && wanted.fails[i]) return false;
  return true;
}

// The key's column; none: several, or an expression.
const std::string* key_column(const relation_facts& parent) {
  return parent.partition_key.size() == 1 && !parent.partition_key.front().empty()
             ? &parent.partition_key.front()
             : nullptr;
}

bool excludes(const relation_facts& table, const relation_facts& parent, const sql::partition_bound& bound,
              const catalog_snapshot& catalog) {
  const std::string* column = key_column(parent);
  auto condition = column ? condition_of(bound, *column) : std::nullopt;
  // that two constants differ is only certain where their order is
  return condition && implies(table, *column, join(form::negation, {std::move(*condition)}), true, catalog);
}

// DEFAULT: none of the other partitions' rows.
bool excludes_all(const relation_facts& table, const relation_facts& parent,
                  const catalog_snapshot& catalog) {
  return std::all_of(parent.partitions.begin(), parent.partitions.end(), [&](const std::string& name) {
    const auto sibling = catalog.relation_by_full_name(name);
    const auto bound = sibling ? sql::parse_partition_bound(sibling->partition_bound) : std::nullopt;
    return bound && excludes(table, parent, *bound, catalog);
  });
}

std::string value_sql(const sql::bound_value& value) {
  return value.what == sql::bound_kind::expression ? value.text : sql::quote_literal(value.text);
}

}  // namespace

bool proves_bound(const relation_facts& table, const relation_facts& parent,
                  const sql::partition_bound& bound, const catalog_snapshot& catalog) {
  if (bound.strategy == 0) return excludes_all(table, parent, catalog);
  const std::string* column = key_column(parent);
  const auto condition = column ? condition_of(bound, *column) : std::nullopt;
  return condition && implies(table, *column, *condition, bound.strategy == 'r', catalog);
}

std::string bound_sql(const relation_facts* parent, const sql::partition_bound& bound) {
  const std::string* key = parent ? key_column(*parent) : nullptr;
  if (!key) return "…";
  const std::string column = sql::quote_identifier(*key);
  if (bound.strategy == 'r' && bound.lower.size() == 1 && bound.upper.size() == 1) {
    std::string text = column + " IS NOT NULL";
    if (bound.lower.front().what != sql::bound_kind::minvalue)
      text += " AND " + column + " >= " + value_sql(bound.lower.front());
    if (bound.upper.front().what != sql::bound_kind::maxvalue)
      text += " AND " + column + " < " + value_sql(bound.upper.front());
    return text;
  }
  if (bound.strategy != 'l') return "…";
  std::string list;
  bool has_null = false;
  for (const auto& value : bound.values) {
    has_null = has_null || value.what == sql::bound_kind::null;
    if (value.what != sql::bound_kind::null) list += (list.empty() ? "" : ", ") + value_sql(value);
  }
  const std::string null_test = column + (has_null ? " IS NULL" : " IS NOT NULL");
  if (list.empty()) return null_test;
  return null_test + (has_null ? " OR " : " AND ") + column + " IN (" + list + ")";
}

steps proof_steps(const std::string& table_sql, const std::string& constraint, const std::string& condition) {
  const std::string name = sql::quote_identifier(constraint);
  return {"ALTER TABLE " + table_sql + " ADD CONSTRAINT " + name + " CHECK (" + condition + ") NOT VALID;",
          "ALTER TABLE " + table_sql + " VALIDATE CONSTRAINT " + name + ";"};
}

std::string create_apart_sql(const sql::create_table& create, const subject& parent) {
  const std::string table = sql::quote_name(create.relation);
  if (create.foreign)
    return "CREATE FOREIGN TABLE " + table + " (…) …;  -- with the columns of " + parent.sql;
  const bool has_identity =
      parent.facts && std::any_of(parent.facts->columns.begin(), parent.facts->columns.end(),
                                  [](const column_facts& column) { return column.identity != 0; });
  return std::string("CREATE ") + (create.unlogged ? "UNLOGGED " : "") + "TABLE " + table + " (LIKE " +
         parent.sql + " INCLUDING ALL" + (has_identity ? " EXCLUDING IDENTITY" : "") + ")" +
         (create.behind_bound.empty() ? "" : " " + create.behind_bound) + ";";
}

default_scan default_scan_of(const subject& parent, const sql::partition_bound& bound,
                             const catalog_snapshot& catalog) {
  default_scan scan;
  if (!parent.facts || parent.facts->default_partition.empty() || bound.strategy == 0) return scan;
  const auto facts = catalog.relation_by_full_name(parent.facts->default_partition);
  // PostgreSQL leaves foreign tables to themselves
  if (facts && (facts->kind == 'f' || excludes(*facts.facts, *parent.facts, bound, catalog))) return scan;
  scan.partition = parent.facts->default_partition;
  scan.facts = facts.facts;
  const auto written = split_full_name(scan.partition);
  subject table;
  table.written = &written;
  const std::string name = object_name(table, "", "without");
  scan.before = proof_steps(scan.partition, name, "NOT (" + bound_sql(parent.facts, bound) + ")");
  scan.after = {"ALTER TABLE " + scan.partition + " DROP CONSTRAINT " + sql::quote_identifier(name) + ";"};
  return scan;
}

}  // namespace tidegate::policies
