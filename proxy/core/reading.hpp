#pragma once
// What a server reads a text by. Settings change how a backslash and a byte beyond ASCII are read, and
// nothing else.

#include "policies/sql/prefilter.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tidegate::core {

struct reading {
  sql::lexical_settings lexical;
  std::string client_encoding = "UTF8";

  bool operator==(const reading& other) const {
    return lexical.standard_conforming_strings == other.lexical.standard_conforming_strings &&
           client_encoding == other.client_encoding;
  }
};

inline bool is_ascii(std::string_view text) {
  constexpr std::uint64_t high_bits = 0x8080808080808080;
  std::uint64_t seen = 0, eight = 0;
  for (; text.size() >= sizeof(eight); text.remove_prefix(sizeof(eight))) {
    std::memcpy(&eight, text.data(), sizeof(eight));
    seen |= eight;
  }
  for (const char c : text) seen |= static_cast<unsigned char>(c);
  return (seen & high_bits) == 0;
}

// The same whatever the settings are.
inline bool is_plain(std::string_view text) {
  return text.find('\\') == std::string_view::npos && is_ascii(text);
}

}  // namespace tidegate::core
