#pragma once
// Which migration tool sends a statement, and how its user has it sent outside a transaction. For the hint of
// a refusal: nothing is decided by it, since clients choose their names freely. Pure.

#include <string_view>

namespace tidegate::policies {

// What to write for the tool, one line; empty: no tool is recognised. By application_name first, then by what
// the tools write into comments (sqlcommenter, Marginalia).
std::string_view outside_transaction(std::string_view application, std::string_view statement);

}  // namespace tidegate::policies
