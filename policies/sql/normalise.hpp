#pragma once
// Query text that may be written to a log: the shape of the statements without what was in them. Literals,
// passwords and comments are secrets.

#include "policies/sql/prefilter.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate::sql {

// The text with every string and number replaced by `?`, comments left out (their tags are read by
// policies::comment_tags) and blanks drawn together, at most `limit` bytes. Never fails: where the lexical
// rules leave a doubt about what is a literal, only command_word() of the text is returned.
std::string normalise(std::string_view text, lexical_settings settings, std::size_t limit = 4096);

// The keyword a text begins with, in upper case: "SELECT", "ALTER"; "" for what is no SQL command. Static
// storage.
std::string_view command_word(std::string_view text);

}  // namespace tidegate::sql
