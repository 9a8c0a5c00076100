#pragma once
// A condition as comparisons of columns with constants, joined by AND, OR and NOT: what proofs about CHECK
// constraints and partition bounds are made of (partitioning.hpp). What it can't say is opaque. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

struct constant {
  std::string value;  // its text, as in a literal
  std::string type;   // of the cast around it, by pg_type's name: "date", "int4"; empty: none
};

struct predicate {
  enum class form {
    opaque,
    all_of,
    any_of,
    negation,    // of its one operand
    comparison,  // column op constant: < <= = >= > <>
    one_of,      // column = ANY (constants)
    is_null,
    is_not_null,
  } what = form::opaque;
  std::vector<predicate> operands;
  std::string column;
  std::string column_type;  // of a cast around the column; empty: none
  std::string op;
  std::vector<constant> constants;
};

// Of a lone expression, such as a CHECK constraint has; none: it does not parse.
std::optional<predicate> parse_predicate(std::string_view text);

}  // namespace tidegate::sql
