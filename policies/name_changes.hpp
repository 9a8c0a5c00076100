#pragma once
// Facts are read before a message is run. What a statement of it does to the search path, those behind it
// find other relations under the same names.

#include "policies/catalog.hpp"
#include "policies/sql/statement.hpp"

namespace tidegate::policies {

// SET search_path to something else than it is, RESET, SET ROLE, set_config() and the like, in a DO block
// too. What functions do inside is not seen.
bool changes_names(const sql::statement& statement, const catalog_snapshot& catalog);

}  // namespace tidegate::policies
