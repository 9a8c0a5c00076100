#include "tests/unit/policies/policy_text.hpp"

#include "policies/registry.hpp"

#include <stdexcept>
#include <utility>

namespace tidegate::test {

using namespace policies;

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text + by) {
    if (c != by) {
      part += c;
      continue;
    }
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) parts.push_back(part);
    part.clear();
  }
  return parts;
}

void add_to_policy(policy& policy, const std::string& line) {
  for (const auto& word : split(line, ',')) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("policy: expected name=value, got " + word);
    const auto key = word.substr(0, equals);
    const auto value = word.substr(equals + 1);
    if (key == "override_roles")
      policy.override_roles = split(value, ' ');
    else if (key == "mode")
      policy.mode = value == "observe" ? policy_mode::observe
                    : value == "off"   ? policy_mode::off
                                       : policy_mode::enforce;
    else if (key == "trust_sizes")
      policy.trust_sizes = value == "on";
    else if (find_rule(key) && parse_verdict(value)) {
      policy_scope scope;
      scope.rules.push_back({key, *parse_verdict(value)});
      policy.scopes.push_back(std::move(scope));
    } else
      throw std::runtime_error("policy: " + word + " is not known");
  }
}

}  // namespace tidegate::test
