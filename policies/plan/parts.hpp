#pragma once
// The recipes: what one subcommand comes to, as steps of a draft. Each throws not_planned where there is
// none.

#include "policies/plan/draft.hpp"
#include "policies/sql/statement.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

// SET NOT NULL by way of a CHECK that is validated while reads and writes go on (F2).
void plan_not_null(draft& to, const std::string& column);

// NOT VALID, then VALIDATE (F3). `text` is the constraint as written, without its name.
void plan_check(draft& to, const std::string& name, const std::string& text);

// The same (F4); on partitioned tables before 18 partition by partition, and the parent adopts them.
void plan_foreign_key(draft& to, const std::string& name, const std::string& text);

// UNIQUE and PRIMARY KEY (F5): the index CONCURRENTLY, then USING INDEX. An empty name is chosen here; of
// `text` only the options of the index are read.
void plan_key(draft& to, const sql::constraint_definition& definition, const std::string& text);

// ALTER COLUMN … TYPE that rewrites nothing but would read every row again for the CHECKs on the column: they
// are left out meanwhile and validated afterwards (F6). `text` is the subcommand as written.
void plan_type_beside_checks(draft& to, const sql::alter_command& command, const std::string& text);

// ALTER COLUMN … TYPE that rewrites nothing but would build indexes again for the column's new collation:
// they are built CONCURRENTLY under other names with it, and take the place of the old ones with the change.
// `text` is the subcommand as written.
void plan_type_beside_indexes(draft& to, const sql::alter_command& command, const std::string& text);

// The columns by which rows are walked in batches, quoted: the primary key, or another unique one without
// NULLs; empty: by pages.
std::vector<std::string> key_to_walk_by(const relation_facts& table, int server_version);

// ADD COLUMN without what would rewrite or scan, which follows in steps of its own (F1).
void plan_column(draft& to, const sql::alter_command& command);

}  // namespace tidegate::policies
