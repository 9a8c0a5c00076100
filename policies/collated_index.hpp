#pragma once
// The indexes that a type change builds again, and their twins: with the new collation written out, an index
// can be built before the column has it, and ALTER TABLE then keeps it as it is. Pure.

#include "policies/altered_type.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

// Under ACCESS EXCLUSIVE, by a change that leaves the rows as they are: partial and expression indexes that
// mention the column, and every index with it in the key when the operator class changes, or the collation,
// where the index has none of its own.
std::vector<const index_facts*> rebuilt_indexes(const altered_type& altered);

struct collated_index {
  const index_facts* index = nullptr;  // whose twin this is
  std::string definition;              // of the twin from USING on
};

struct collated_indexes {
  std::vector<collated_index> each;
  std::string why_not;  // empty: each has one
};

// Of rebuilt_indexes(), which are not empty.
collated_indexes twins_of(const altered_type& altered, const rule_input& input);

}  // namespace tidegate::policies
