#pragma once
// The ALTER COLUMN … TYPE subcommands of a statement with what each costs: shared by the seven rules about
// type changes, each of which looks at one consequence. Pure.

#include "policies/subject.hpp"
#include "policies/type_change.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

struct altered_type {
  altered command;
  type_change change;

  std::string column_in_words() const;  // "orders.qty"
};

// Of tables with storage; foreign tables and views are left out.
std::vector<altered_type> altered_types(const rule_input& input);

}  // namespace tidegate::policies
