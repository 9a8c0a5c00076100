#pragma once
// What an event trigger of the server's sees of a statement: the server guard (docs/guard.md) is one.

#include "policies/sql/statement.hpp"

namespace tidegate::policies {

// It may make the server run event triggers: a change of the catalog, not a mere lock.
bool may_fire_event_triggers(const sql::statement& statement);

// It may run DDL that its text does not show: in functions that it calls, triggers that it fires, SQL that it
// makes up. What a DO block calls whose SQL is all written out is not counted: the server could not tell its
// DDL from the block's.
bool may_run_unseen_ddl(const sql::statement& statement);

}  // namespace tidegate::policies
