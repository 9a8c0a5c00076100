#pragma once
// Client encodings (PostgreSQL's names) as far as they matter to whoever reads SQL. In some of them a byte of
// a character may look like ASCII: 0x5c, a backslash, is the second byte of characters of SJIS and BIG5. Such
// text can't be read byte by byte; the pre-filter does not try, and the parser gets it as UTF-8.

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::sql {

// Whether every ASCII byte of a text in this encoding is that ASCII character. False for an unknown name.
bool is_ascii_safe(std::string_view encoding);

// The text as UTF-8. None when the encoding is not known or, where it is safe, the text is not valid in it;
// in one that is not, U+FFFD stands for a character that can't be converted. Positions in the result are not
// those of the text. Slow path only.
std::optional<std::string> to_utf8(std::string_view text, std::string_view encoding);
// The other way. None when the encoding is not known or can't say it.
std::optional<std::string> from_utf8(std::string_view text, std::string_view encoding);

}  // namespace tidegate::sql
