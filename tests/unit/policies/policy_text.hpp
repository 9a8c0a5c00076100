#pragma once
// The `policy:` lines of behaviour cases (tests/cases/README.md).

#include "policies/engine.hpp"

#include <string>
#include <vector>

namespace tidegate::test {

// Parts without the blanks around them; empty ones are left out.
std::vector<std::string> split(const std::string& text, char by);

// Throws std::runtime_error for what it can't read.
void add_to_policy(policies::policy& policy, const std::string& line);

}  // namespace tidegate::test
