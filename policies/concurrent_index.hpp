#pragma once
// What rules about indexes share: when a statement can run CONCURRENTLY, and the text of it. Pure.

#include "policies/rule.hpp"

#include <string>

namespace tidegate::policies {

// The session could run something CONCURRENTLY now: outside a transaction, alone in its message.
bool may_run_concurrently(const session_facts& session);

// 14.0 to 14.3 may corrupt an index that is built CONCURRENTLY (hazards.md, section 5).
bool builds_concurrently_safely(int server_version);

// The statement with CONCURRENTLY put in at `position`, and a semicolon.
std::string with_concurrently(const rule_input& input, sql::position position);

// The reason why CONCURRENTLY is not put in for the user, as the beginning of a step; empty: it is.
std::string why_not_concurrently(const rule_input& input);

}  // namespace tidegate::policies
