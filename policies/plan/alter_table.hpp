#pragma once
// ALTER TABLE taken apart: what is instant stays together, what would read or write every row gets steps of
// its own, in an order that comes to the same table.

#include "policies/plan/plan.hpp"
#include "policies/rule.hpp"

#include <vector>

namespace tidegate::policies {

// Throws not_planned.
std::vector<plan_step> plan_alter_table(const rule_input& input, const sql::alter_table& alter,
                                        const decision& decision);

}  // namespace tidegate::policies
