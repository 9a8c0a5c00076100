#pragma once
// What may be carried out after the transaction that asked for it: the rest of the transaction does not see
// it. Pure.

#include "policies/sql/statement.hpp"

namespace tidegate::policies {

// It adds an index or constraints to one table, validates one, or sets NOT NULL: without it the statements
// behind it, but for those that name what it makes, come to the same. No new column: they may use it.
bool is_deferrable(const sql::statement& statement);

}  // namespace tidegate::policies
