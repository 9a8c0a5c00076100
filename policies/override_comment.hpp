#pragma once
// Which comments belong to a statement. What they say: find_override() and comment_tags() of engine.hpp.

#include "policies/sql/statement.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace tidegate::policies {

// The text of each statement with the comments around it: from behind the previous statement to its own
// semicolon, and to the end of the text for the last one. `ranges`: of all statements of the text, in its
// order. Comments behind a point where the text is ambiguous are left out. One pass, however many there are.
std::vector<std::string_view> with_comments(std::string_view text, std::span<const sql::text_range> ranges);

}  // namespace tidegate::policies
