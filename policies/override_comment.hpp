#pragma once
// Which comments belong to a statement. What they say: find_override() and comment_tags() of engine.hpp.

#include "policies/sql/statement.hpp"

#include <string_view>

namespace tidegate::policies {

// The statement's text with the comments around it: from behind the previous statement to its own semicolon,
// and to the end of the text for the last one. Comments behind a point where the text is ambiguous are left
// out.
std::string_view with_comments(std::string_view text, sql::text_range range);

}  // namespace tidegate::policies
