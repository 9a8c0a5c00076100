#include "policies/policy_scope.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tidegate::policies {

namespace {

bool one_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                         [&](const std::string& p) { return matches_glob(p, text); });
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool covers(const policy_scope& scope, const scope_question& question) {
  if (!one_matches(scope.databases, question.session.database) ||
      !one_matches(scope.roles, question.session.role) ||
      !one_matches(scope.applications, question.session.application))
    return false;
  if (!scope.tables.empty() &&
      std::none_of(question.relations.begin(), question.relations.end(),
                   [&](const std::string& relation) { return one_matches(scope.tables, relation); }))
    return false;
  const std::int64_t bytes = question.bytes.value_or(std::numeric_limits<std::int64_t>::max());
  return bytes >= scope.min_bytes.value_or(0) &&
         bytes <= scope.max_bytes.value_or(std::numeric_limits<std::int64_t>::max());
}

verdict action_for(const policy& policy, std::string_view rule, const scope_question& question,
                   verdict otherwise) {
  verdict action = otherwise;
  for (const auto& scope : policy.scopes) {
    const auto named = std::find_if(scope.rules.begin(), scope.rules.end(),
                                    [&](const rule_action& r) { return r.rule == rule; });
    if (named != scope.rules.end() && covers(scope, question)) action = named->action;
  }
  return action;
}

policy_mode mode_for(const policy& policy, const scope_question& question) {
  policy_mode mode = policy.mode;
  for (const auto& scope : policy.scopes)
    if (scope.mode && covers(scope, question)) mode = *scope.mode;
  return mode;
}

ddl_mode ddl_mode_for(const policy& policy, const scope_question& question) {
  ddl_mode mode = policy.ddl_mode;
  for (const auto& scope : policy.scopes)
    if (scope.ddl_mode && covers(scope, question)) mode = *scope.ddl_mode;
  return mode;
}

}  // namespace tidegate::policies
