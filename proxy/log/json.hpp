#pragma once
// JSON text for what the gateway writes line by line: its log and the audit log. Any thread.

#include <string>
#include <string_view>

namespace tidegate::log {

// Appends `text` as a JSON string with its quotes. Always valid JSON in valid UTF-8 and always one line:
// control characters are escaped, and every byte that is not part of well-formed UTF-8 (RFC 3629) becomes
// U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// How many bytes of well-formed UTF-8 one character at the start of `text` takes; 0 if there is none.
std::size_t utf8_length(std::string_view text);

// The longest beginning of `text` that has at most `bytes` bytes and does not cut a character in two.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes);

}  // namespace tidegate::log
