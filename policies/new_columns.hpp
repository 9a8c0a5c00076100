#pragma once
// Columns that a statement adds, of a new table or of one there is, for the rules of style. Pure.

#include "policies/subject.hpp"

#include <vector>

namespace tidegate::policies {

struct new_column {
  subject table;
  const sql::column_definition* definition = nullptr;
  bool primary_key = false;  // alone: a key of several columns is no running number
  bool of_new_table = false;
};

// Temporary tables, foreign tables, and what IF NOT EXISTS finds there already are left out.
std::vector<new_column> new_columns(const rule_input& input);

}  // namespace tidegate::policies
