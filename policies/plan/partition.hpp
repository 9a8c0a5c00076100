#pragma once
// Partitions that come and go (F12): the rules know the steps, and here they become those of a plan.

#include "policies/plan/plan.hpp"
#include "policies/rule.hpp"

#include <vector>

namespace tidegate::policies {

// ATTACH PARTITION, DETACH PARTITION, CREATE TABLE … PARTITION OF. Throws not_planned.
std::vector<plan_step> plan_partition(const rule_input& input, const decision& decision);

}  // namespace tidegate::policies
