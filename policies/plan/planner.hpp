#pragma once
// From a statement that would scan, rewrite or build under a strong lock to the steps that come to the same
// schema without one (the recipes F1 to F5, F9 and F12 in docs/rules.md). Pure: the facts are those of the
// moment, and the names of what the steps make are those that PostgreSQL itself would choose.

#include "policies/plan/plan.hpp"
#include "policies/rule.hpp"

#include <optional>
#include <string>

namespace tidegate::policies {

struct planned {
  std::optional<plan> steps;
  std::string why_not;  // without steps: one line, lower case, no full stop
};

// `decision` is what the engine says of the same input, its action plan or rewrite.
planned make_plan(const rule_input& input, const decision& decision);

}  // namespace tidegate::policies
