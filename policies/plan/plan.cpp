#include "policies/plan/plan.hpp"

#include "policies/sql/parse.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tidegate::policies {
namespace {

constexpr std::array<std::string_view, 4> kinds = {"brief", "checking", "concurrent", "filling"};

}  // namespace

std::string_view name(step_kind kind) {
  return kinds[static_cast<std::size_t>(kind)];
}

std::optional<step_kind> parse_step_kind(std::string_view word) {
  const auto found = std::find(kinds.begin(), kinds.end(), word);
  if (found == kinds.end()) return std::nullopt;
  return static_cast<step_kind>(found - kinds.begin());
}

std::vector<relation_lock> locks_of(std::string_view sql, const catalog_snapshot& catalog) {
  std::vector<relation_lock> locks;
  for (const auto& statement : sql::parse(sql).statements) {
    for (const auto& lock : locks_taken(statement, catalog)) {
      const auto same = std::find_if(locks.begin(), locks.end(),
                                     [&](const relation_lock& l) { return l.relation == lock.relation; });
      if (same == locks.end())
        locks.push_back(lock);
      else
        same->level = std::max(same->level, lock.level);
    }
  }
  return locks;
}

}  // namespace tidegate::policies
