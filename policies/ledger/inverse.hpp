#pragma once
// The statement that takes a schema change back, as SQL that can be pasted: with names qualified as they were
// resolved, so that it means the same under any search_path. In doubt there is none, and a reason. Pure.

#include "policies/rule.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

struct inverse {
  std::string sql;                   // with its semicolon; empty: there is none
  std::string lost;                  // data that it takes away, in words; empty: none
  std::string why_not;               // where there is none: one clause, without a full stop
  std::vector<std::string> objects;  // "schema.name" of what the statement is about, before and after it
};

// `input`: with the facts as they were before the statement ran, and what its transaction had done by then.
inverse inverse_of(const rule_input& input);

}  // namespace tidegate::policies
