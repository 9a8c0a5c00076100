#include "policies/held_locks.hpp"

#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <cstddef>

namespace tidegate::policies {
namespace {

// Of the entries behind the first `from`, each relation once with its strongest lock.
std::vector<held_lock> strong_locks(const transaction_history& history, std::size_t from) {
  std::vector<held_lock> locks;
  const auto& entries = history.entries();
  for (std::size_t i = from; i < entries.size(); ++i) {
    if (entries[i].what != transaction_history::entry::kind::strong_lock) continue;
    const auto known = std::find_if(locks.begin(), locks.end(), [&](const held_lock& lock) {
      return may_be_same(lock.relation, entries[i].relation);
    });
    if (known == locks.end())
      locks.push_back({entries[i].relation, entries[i].lock});
    else
      known->level = std::max(known->level, entries[i].lock);
  }
  std::stable_sort(locks.begin(), locks.end(),
                   [](const held_lock& a, const held_lock& b) { return a.level > b.level; });
  return locks;
}

}  // namespace

std::string held_lock::name() const {
  return sql::quote_name(relation);
}

bool may_be_same(const sql::qualified_name& a, const sql::qualified_name& b) {
  return a.name == b.name && (a.schema == b.schema || a.schema.empty() || b.schema.empty());
}

std::vector<held_lock> held_before(const rule_input& input) {
  return strong_locks(input.history, 0);
}

std::vector<held_lock> newly_taken(const rule_input& input) {
  if (!input.statement.ddl || parts_of(input.statement).size() > 1) return {};
  transaction_history after = input.history;
  after.add(input.statement, false, input.catalog);
  std::vector<held_lock> taken = strong_locks(after, input.history.entries().size());
  const std::vector<held_lock> before = held_before(input);
  std::erase_if(taken, [&](const held_lock& lock) {
    return std::any_of(before.begin(), before.end(),
                       [&](const held_lock& held) { return may_be_same(held.relation, lock.relation); });
  });
  return taken;
}

}  // namespace tidegate::policies
