#include "policies/plan/filling.hpp"

#include <cstddef>

namespace tidegate::policies {
namespace {

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// "(a, b)" or, of one column, "a": a row comparison of one column uses no index on some versions.
std::string row_of(const std::vector<std::string>& names) {
  return names.size() == 1 ? names.front() : "(" + list_of(names) + ")";
}

std::vector<std::string> parameters(std::size_t first, std::size_t count) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back("$" + std::to_string(first + i));
  return out;
}

// '(page,0)' of a page number in a parameter.
std::string first_of_page(std::size_t parameter) {
  return "('(' || $" + std::to_string(parameter) + " || ',0)')::pg_catalog.tid";
}

}  // namespace

std::string batch_end_query(const filling& what, bool begun) {
  const std::string key = list_of(what.key);
  return "SELECT " + key + " FROM " + what.table +
         (begun ? " WHERE " + row_of(what.key) + " > " + row_of(parameters(2, what.key.size())) : "") +
         " ORDER BY " + key + " OFFSET $1::pg_catalog.int8 LIMIT 1";
}

std::string batch_query(const filling& what, bool begun, bool ends) {
  std::string where = what.column + " IS NULL";
  if (what.key.empty()) {
    where += " AND ctid >= " + first_of_page(1) + " AND ctid < " + first_of_page(2);
  } else {
    const std::size_t columns = what.key.size();
    if (begun) where += " AND " + row_of(what.key) + " > " + row_of(parameters(1, columns));
    if (ends)
      where += " AND " + row_of(what.key) + " <= " + row_of(parameters(begun ? columns + 1 : 1, columns));
  }
  return "WITH filled AS (UPDATE " + what.table + " SET " + what.column + " = DEFAULT WHERE " + where +
         " RETURNING 1) SELECT pg_catalog.count(*) FROM filled";
}

std::string pages_query() {
  return "SELECT pg_catalog.pg_relation_size($1::pg_catalog.oid) / "
         "pg_catalog.current_setting('block_size')::pg_catalog.int8 + 1";
}

std::string as_one_statement(const filling& what) {
  return "UPDATE " + what.table + " SET " + what.column + " = DEFAULT WHERE " + what.column + " IS NULL";
}

}  // namespace tidegate::policies
