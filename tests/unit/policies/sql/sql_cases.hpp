#pragma once
// The texts of tests/cases/sql: one per line, \n \r \t \v as written there.

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidegate::sql {

inline std::string unescaped(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    const std::string::size_type known = std::string("nrtv").find(next);
    if (line[i] == '\\' && next != '\0' && known != std::string::npos) {
      text += "\n\r\t\v"[known];
      ++i;
    } else {
      text += line[i];
    }
  }
  return text;
}

inline std::vector<std::string> read_cases(const std::string& name) {
  std::ifstream file(std::string(TIDEGATE_SOURCE_DIR "/tests/cases/sql/") + name);
  if (!file) throw std::runtime_error("no cases in " + name);
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') texts.push_back(unescaped(line));
  }
  return texts;
}

}  // namespace tidegate::sql
