#include "policies/registry.hpp"

#include "policies/rule.hpp"

namespace tidegate::policies {

const rule* find_rule(std::string_view id) {
  for (const rule* candidate : all_rules())
    if (candidate->id == id) return candidate;
  return nullptr;
}

}  // namespace tidegate::policies
