#pragma once
// The foreign keys that go with what a statement drops. Each of them takes ACCESS EXCLUSIVE on the table at
// its other end as well, and all of them are held until the last one has been had. Pure.

#include "policies/rule.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

struct dropped_foreign_key {
  const relation_facts* table = nullptr;  // that has it
  const constraint_facts* key = nullptr;
  std::string table_sql;  // for SQL: as written where the statement names the table
  std::string locked;     // "schema.name" of the table that the statement does not name
};

// Of DROP TABLE, DROP CONSTRAINT and DROP COLUMN, each once, in the order of the statement. Left out are
// those that a partition has from its parent, with which alone they go; those between tables that are all
// dropped; and those of tables that are the session's own. Empty where facts are lacking, and where
// PostgreSQL refuses the statement before it takes these locks, since something depends on what it drops.
std::vector<dropped_foreign_key> dropped_foreign_keys(const rule_input& input);

// The tables that are locked because of them, each once.
std::vector<std::string> locked_by(const std::vector<dropped_foreign_key>& keys);

}  // namespace tidegate::policies
