#pragma once
// PostgreSQL's own parser (libpg_query, version 15) behind one function. Slow path only: the pre-filter
// (prefilter.hpp) decides which text comes here. Needs a deep stack: call it on a thread made with at least
// parse_stack_bytes of stack.

#include "policies/sql/statement.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

// A statement longer than this is not parsed: the worst nesting at the limit must survive parse_stack_bytes.
// It does with more than twice to spare: 1+1+1… is the costliest form and takes 64 bytes of stack for each
// byte of text, 64 MiB at the limit (tests/unit/policies/sql/parse_depth_test.cpp). Brackets, CASE, NOT and
// subqueries end at 10,000 levels in the grammar itself, as they do in the server. A query string of many
// statements may be longer than the limit: it is then parsed statement by statement. Costs at the limit: up
// to one second and 360 MB for 1+1+1…; an ordinary ALTER TABLE takes some ten microseconds.
extern const std::size_t parse_limit_bytes;
extern const std::size_t parse_stack_bytes;

struct parse_options {
  bool standard_conforming_strings = true;  // as the server reports it
  std::size_t limit_bytes = parse_limit_bytes;
};

enum class parse_failure { syntax, too_long, internal };

struct parse_error {
  parse_failure failure = parse_failure::syntax;
  std::string message;  // the parser's own words; may quote a token of the text, so never logged
  position at = -1;     // byte offset
};

struct parsed {
  std::vector<statement> statements;
  std::optional<parse_error> error;  // set: statements is empty

  bool ok() const { return !error; }
};

// Parses a whole query string (up to its first zero byte). Thread-safe: what the library keeps between calls
// (memory contexts, the setting of standard_conforming_strings) is thread-local and made anew in each call.
// What newer servers accept and the library does not (VIRTUAL, NOT ENFORCED) is understood where it can be
// done without changing any position. A statement that can't be parsed but is certainly harmless
// (prefilter.hpp: a newer form of SELECT) becomes an other_statement with the node "Unparsed".
parsed parse(std::string_view text, const parse_options& options = {});

// Facts of a lone expression, such as pg_get_expr() prints (CHECK clauses, defaults, index predicates).
std::optional<expression> parse_expression(std::string_view text);

// A bound as pg_get_expr() prints pg_class.relpartbound: "FOR VALUES FROM (1) TO (10)", "DEFAULT".
std::optional<partition_bound> parse_partition_bound(std::string_view text);

// Throws std::runtime_error when the library does not honour standard_conforming_strings (hazards §0.21):
// called once at start.
void check_parser();

}  // namespace tidegate::sql
