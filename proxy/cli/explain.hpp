#pragma once
// `tidegate explain RULE`: what the rule is about, what is unsafe, and what to do instead.

#include <iosfwd>
#include <string>

namespace tidegate::cli {

// Prints the rule's page, or without a name every rule with its summary. Returns the exit code: 0, or 2 when
// there is no such rule.
int run_explain(const std::string& rule, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
