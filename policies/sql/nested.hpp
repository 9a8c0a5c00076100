#pragma once
// Parsing of text that stands inside a statement (the body of DO). Internal to policies/sql.

#include "policies/sql/parse.hpp"

#include <string_view>

namespace tidegate::sql {

// DO inside EXECUTE inside DO … is followed this far; what is deeper counts as unreadable.
inline constexpr int deepest_nesting = 8;

// As parse(), one level below `nesting`; positions are -1.
parsed parse_nested(std::string_view text, const parse_options& options, int nesting);

}  // namespace tidegate::sql
