#pragma once
// Names as facts spell them, taken apart again.

#include "policies/sql/statement.hpp"

#include <string_view>

namespace tidegate::policies {

// "schema.name", parts quoted where needed, as relation_facts::full_name() makes them; a bare name has no
// schema.
sql::qualified_name split_full_name(std::string_view full_name);

}  // namespace tidegate::policies
