#include "tests/unit/policies/case_file.hpp"

#include <fstream>
#include <set>
#include <stdexcept>
#include <string_view>

namespace tidegate::test {

namespace {

std::string trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin));
}

}  // namespace

std::vector<behaviour_case> read_cases(const std::filesystem::path& file) {
  static const std::set<std::string> keys = {"catalog", "session", "policy", "before"};
  static const std::set<std::string> sections = {"verdict", "rules",   "message", "detail",
                                                 "hint",    "no hint", "lacked",  "steps",
                                                 "locks",   "plan",    "no plan", "undo"};
  std::vector<behaviour_case> cases;
  std::ifstream in(file);
  if (!in) throw std::runtime_error(file.string() + ": cannot be read");
  std::string line;
  std::string section;
  bool in_sql = false;
  int number = 0;
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error(file.string() + ":" + std::to_string(number) + ": " + what);
  };
  while (std::getline(in, line)) {
    ++number;
    if (line.starts_with("case ")) {
      cases.push_back({.file = file.stem().string(),
                       .line = number,
                       .name = trim(line.substr(5)),
                       .givens = {},
                       .sql = {},
                       .expected = {}});
      section.clear();
      in_sql = false;
    } else if (line.starts_with("---- ")) {
      if (cases.empty()) fail("a section before the first case");
      section = trim(line.substr(5));
      if (!sections.contains(section)) fail("no section is called " + section);
      cases.back().expected[section];
      in_sql = false;
    } else if (!section.empty()) {
      if (const auto text = trim(line); !text.empty()) cases.back().expected[section].push_back(text);
    } else if (in_sql) {
      cases.back().sql += "\n" + line;
    } else if (trim(line).empty() || line.starts_with('#')) {
      continue;
    } else if (cases.empty()) {
      fail("a line before the first case");
    } else if (line.starts_with("sql:")) {
      cases.back().sql = trim(line.substr(4));
      in_sql = true;
    } else {
      const auto colon = line.find(':');
      const auto key = line.substr(0, colon);
      if (colon == std::string::npos || !keys.contains(key))
        fail("expected catalog:, session:, policy:, before: or sql:");
      cases.back().givens.emplace_back(key, trim(line.substr(colon + 1)));
    }
  }
  for (auto& each : cases)
    while (!each.sql.empty() && (each.sql.back() == '\n' || each.sql.back() == ' ')) each.sql.pop_back();
  return cases;
}

}  // namespace tidegate::test
