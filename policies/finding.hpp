#pragma once
// What a rule says of a statement. The same texts go to ErrorResponse and NOTICE, `check`, the admin console
// and the audit log, so they are written for the person who gets them (style.md, "Messages to users").

#include "policies/lock_level.hpp"
#include "policies/sql/statement.hpp"
#include "policies/verdict.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

struct finding {
  std::string_view rule;               // id; static storage
  verdict action = verdict::block;     // the engine fills in what the policy says
  lock_level lock = lock_level::none;  // the strongest lock the statement takes because of this
  std::vector<std::string> relations;  // "schema.name", quoted where needed; the first is the one at risk
  bool reaches_further =
      false;                // it concerns relations of unknown size, too: a small one at risk is no excuse
  bool rewritable = false;  // the statement can run CONCURRENTLY here and now, to the same effect
  std::string message;      // one line, lower case, no full stop: what would happen, on what
  std::string detail;       // which lock, what it blocks, how big
  std::string hint;         // "Instead: …" with ready SQL; the engine adds how to override and the page
  std::vector<std::string> steps;  // the SQL of the safe way, one transaction each
  sql::position at = -1;           // byte offset in the query string
  std::string lacked_fact;         // which fact was not to be had and was assumed at its worst; empty: none
  std::string_view sqlstate;       // empty: the engine's default for a refusal
  std::string schema, table, column, constraint;  // fields of the ErrorResponse; may be empty
};

}  // namespace tidegate::policies
