#pragma once
// Syntax of PostgreSQL 16 to 18 that the parser (15) does not know, brought into a form that it does: same
// length, so that every position stays true, and a note of what was meant. Internal to policies/sql.

#include "policies/sql/statement.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

enum class adaptation_kind {
  virtual_column,       // GENERATED ALWAYS AS (…) [VIRTUAL]; read as DEFAULT (…)
  set_expression,       // ALTER COLUMN … SET EXPRESSION AS (…); read as SET DEFAULT (…)
  not_null_constraint,  // a table's NOT NULL column; read as CHECK(column)
  not_enforced,         // left out
  other,                // left out or respelled without loss for our purposes
};

struct adaptation {
  adaptation_kind kind = adaptation_kind::other;
  position at = 0;
};

struct adapted_text {
  std::string text;  // as long as the original
  std::vector<adaptation> adaptations;
};

// What the parser should read instead. No adaptations: nothing newer was found, and the text is as it was.
adapted_text adapt_newer_syntax(std::string_view text, bool backslashes_escape);

}  // namespace tidegate::sql
