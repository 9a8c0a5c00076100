#pragma once
// Steps of a plan that was interrupted, from what was written down of them. Pure.

#include "policies/catalog.hpp"
#include "policies/plan/plan.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace tidegate::policies {

struct written_step {
  std::string kind, sql, done, undo;
  std::string not_null_column;  // as in plan_step
};

// None: it can't be understood, and nothing is to be done with the plan. `relation`: of the plan, as it is
// now.
std::optional<plan_step> restore_step(const written_step& step, const relation_facts& relation,
                                      const catalog_snapshot& catalog);

}  // namespace tidegate::policies
