#pragma once
// DROP TABLE, and what ALTER TABLE drops: foreign keys go one by one, so that never more than two tables are
// locked at the same time.

#include "policies/dropped_foreign_keys.hpp"
#include "policies/plan/draft.hpp"

#include <vector>

namespace tidegate::policies {

// DROP TABLE behind its foreign keys. Throws not_planned.
std::vector<plan_step> plan_drop_table(const rule_input& input, const sql::drop& drop,
                                       const decision& decision);

// One step for each; taken back they are made again and validated. Throws not_planned.
void plan_dropped_foreign_keys(draft& to, const std::vector<dropped_foreign_key>& keys);

}  // namespace tidegate::policies
