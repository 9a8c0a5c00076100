#pragma once
// Whether a scope of a policy covers a statement, and what the policy says of a finding.

#include "policies/engine.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

// * any bytes, ? one byte; the whole text must match.
bool matches_glob(std::string_view pattern, std::string_view text);

struct scope_question {
  const session_facts& session;
  const std::vector<std::string>& relations;  // "schema.name"; one that matches is enough
  std::optional<std::int64_t> bytes;          // of the relation at risk; none: unknown, counts as big
};

bool covers(const policy_scope& scope, const scope_question& question);

// The last scope that names the rule and covers the question; `otherwise` when none does.
verdict action_for(const policy& policy, std::string_view rule, const scope_question& question,
                   verdict otherwise);
// The last scope with a mode that covers the question; the policy's own mode when none does.
policy_mode mode_for(const policy& policy, const scope_question& question);
ddl_mode ddl_mode_for(const policy& policy, const scope_question& question);

}  // namespace tidegate::policies
