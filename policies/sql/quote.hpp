#pragma once
// The one place that turns names and strings into SQL text. Pure.

#include "policies/sql/statement.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

// As quote_ident() of PostgreSQL: quoted unless the name is lower-case letters, digits and underscores and no
// keyword that needs quotes in PostgreSQL 12 to 18.
std::string quote_identifier(std::string_view name);
// "(a, b)": a list of columns, each quoted where needed.
std::string quote_columns(const std::vector<std::string>& names);
// The parts that were written, each quoted where needed: app."Order Lines".
std::string quote_name(const qualified_name& name);
// As quote_literal(): E'' when there is a backslash, so that it means the same under either setting of
// standard_conforming_strings.
std::string quote_literal(std::string_view text);

}  // namespace tidegate::sql
