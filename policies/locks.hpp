#pragma once
// Which table locks a statement takes by itself, without the statements inside it (locks_taken() of
// engine.hpp adds those). Modes as measured: hazards.md, section 4; the sources are AlterTableGetLockLevel()
// and the commands' own calls.

#include "policies/catalog.hpp"
#include "policies/lock_level.hpp"
#include "policies/sql/statement.hpp"

#include <vector>

namespace tidegate::policies {

struct relation_lock;

// Each relation once, with the strongest mode.
std::vector<relation_lock> own_locks(const sql::statement& statement, const catalog_snapshot& catalog);

// Whether it locks relations that it does not name: VACUUM FULL of everything, DROP SCHEMA, REINDEX DATABASE,
// ….
bool locks_unnamed(const sql::statement& statement);

// What a subcommand asks for on the table itself. One strong subcommand lifts the whole ALTER.
lock_level lock_of(const sql::alter_command& command);
// It is carried out on partitions and inheritance children as well, which are then locked alike. Measured on
// PostgreSQL 15: owners, storage, row security and the like stay with the parent.
bool reaches_partitions(const sql::alter_command& command);
// Of the whole ALTER.
lock_level lock_of(const sql::alter_table& statement);

}  // namespace tidegate::policies
