#pragma once
// Indexes of partitioned tables, and what else has a CONCURRENTLY of its own.

#include "policies/plan/plan.hpp"
#include "policies/rule.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

// The columns in the name that PostgreSQL chooses for an index, joined by "_".
std::string columns_in_name(const sql::create_index& create);

// CREATE INDEX, DROP INDEX and REINDEX with CONCURRENTLY put in at `position`: one step. Throws not_planned.
std::vector<plan_step> plan_concurrent_index(const rule_input& input, sql::position position);

// CREATE INDEX on a partitioned table (F9): ON ONLY the parent, CONCURRENTLY on each partition, then
// attached. Throws not_planned.
std::vector<plan_step> plan_partitioned_index(const rule_input& input, const sql::create_index& create);

// REFRESH MATERIALIZED VIEW with CONCURRENTLY, which needs a unique index. Throws not_planned.
std::vector<plan_step> plan_refresh(const rule_input& input, const sql::refresh_materialized_view& refresh);

}  // namespace tidegate::policies
