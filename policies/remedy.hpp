#pragma once
// The safe way to the same end, as SQL in the user's own names that can be pasted: each string is one
// transaction and one message of its own (the recipes F1, F2, F5, F6 in docs/rules.md). Pure.

#include "policies/subject.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

using steps = std::vector<std::string>;

// "orders_qty_nn": table, column and suffix as PostgreSQL makes such names, cut to 63 bytes; not quoted.
std::string object_name(const subject& table, std::string_view column, std::string_view suffix);

// SET NOT NULL by way of a CHECK that is validated while reads and writes go on.
steps set_not_null_steps(const subject& table, const std::string& column_name, int server_version);

// ADD COLUMN with everything that would rewrite or scan taken out and done afterwards: default, filling in
// batches, sequence or identity, NOT NULL, CHECK, FOREIGN KEY, UNIQUE.
steps add_column_steps(const altered& added, int server_version);

// ALTER COLUMN … TYPE through a second column that a trigger keeps filled.
steps change_type_steps(const altered& command);

// The type as it was written, with its collation; of serial types the integer type behind.
std::string type_sql(const sql::column_definition& column);

}  // namespace tidegate::policies
