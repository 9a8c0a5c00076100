#include "policies/relation_name.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace tidegate::policies {

sql::qualified_name split_full_name(std::string_view full_name) {
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (std::size_t i = 0; i < full_name.size(); ++i) {
    const char c = full_name[i];
    if (c == '"' && quoted && i + 1 < full_name.size() && full_name[i + 1] == '"')
      parts.back() += full_name[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == '.' && !quoted)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  sql::qualified_name name;
  name.name = parts.back();
  if (parts.size() > 1) name.schema = parts[parts.size() - 2];
  return name;
}

}  // namespace tidegate::policies
