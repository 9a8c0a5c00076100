#pragma once
// The statements inside a statement: what a DO block, EXPLAIN ANALYZE, PREPARE or CREATE SCHEMA carries. Each
// is judged as if it stood alone. Iterative, because a hostile text may nest deeply.

#include "policies/sql/statement.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

struct statement_part {
  const sql::statement* statement;  // lives as long as the whole
  bool in_block = false;            // of a DO block: CONCURRENTLY can't run there
  bool runs = true;                 // false: PREPARE keeps it for later
  std::string schema;               // of CREATE SCHEMA: where its unqualified names live
};

// The statement itself, then what is inside, in the order of the text.
std::vector<statement_part> parts_of(const sql::statement& whole);

// `name` as a part of CREATE SCHEMA means it.
sql::qualified_name qualify(sql::qualified_name name, const std::string& schema);

// It makes something new and changes nothing that is there: no prepared statement can return anything else
// for it.
bool only_adds(const sql::statement& statement);

}  // namespace tidegate::policies
