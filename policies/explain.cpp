#include "policies/engine.hpp"

#include <algorithm>

namespace tidegate::policies {

namespace {

// Of a refusal that PostgreSQL has no code for. Class TG is ours: classes that begin with I–Z are free for
// implementations (SQL:2016, 24.1).
constexpr std::string_view refused_by_policy = "TG001";

refusal explain(const finding& found) {
  return {.sqlstate = std::string(found.sqlstate.empty() ? refused_by_policy : found.sqlstate),
          .message = found.message,
          .detail = found.detail,
          .hint = found.hint,
          .first = &found};
}

}  // namespace

refusal explain_refusal(const decision& decision) {
  if (decision.reported.empty()) return {};
  refusal text = explain(decision.reported.front());
  for (const auto& other : decision.reported) {
    if (&other == text.first || other.action < verdict::warn) continue;
    if (!text.detail.empty()) text.detail += '\n';
    text.detail += "Also " + std::string(other.rule) + ": " + other.message + ".";
  }
  return text;
}

std::vector<refusal> explain_warnings(const decision& decision) {
  std::vector<refusal> warnings;
  for (const auto& found : decision.reported)
    if (found.action == verdict::warn) warnings.push_back(explain(found));
  return warnings;
}

}  // namespace tidegate::policies
