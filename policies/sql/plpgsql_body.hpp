#pragma once
// The SQL in a plpgsql body (DO), found with our own reader of the language's statements: the library's
// plpgsql parser aborts or crashes on bodies that a server accepts, and this one only has to find where a
// statement begins and ends. Internal to policies/sql.

#include "policies/sql/parse.hpp"
#include "policies/sql/statement.hpp"

#include <string_view>

namespace tidegate::sql {

// Everything but `language` is filled in. Positions inside are -1: the body's text is not the query string's.
// What can't be read leaves has_dynamic_sql or opaque set, never nothing. `nesting` is that of the DO.
do_block read_plpgsql_body(std::string_view body, const parse_options& options, int nesting);

}  // namespace tidegate::sql
