#pragma once
// What a server reads a text by. Settings change how a backslash and a byte beyond ASCII are read, and
// nothing else.

#include "policies/sql/prefilter.hpp"

#include <algorithm>
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

// The same whatever the settings are.
inline bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\\' || (c & '\x80') != 0; });
}

}  // namespace tidegate::core
