#pragma once
// Behaviour cases as text (tests/cases/README.md has the grammar).

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::test {

struct behaviour_case {
  std::string file;  // without extension: the rule's id
  int line = 0;
  std::string name;
  // In the order of the file; each with the key of its line.
  std::vector<std::pair<std::string, std::string>> givens;  // catalog, session, policy, before
  std::string sql;
  std::map<std::string, std::vector<std::string>> expected;  // section -> its lines, blank ones left out
};

// Throws std::runtime_error with file:line for what it can't read.
std::vector<behaviour_case> read_cases(const std::filesystem::path& file);

}  // namespace tidegate::test
