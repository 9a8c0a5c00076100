#include "policies/held_locks.hpp"

#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>

namespace tidegate::policies {
namespace {

template <class Use>
void each_strong_lock(const transaction_history& history, Use use) {
  for (const auto& entry : history.entries())
    if (entry.what == transaction_history::entry::kind::strong_lock)
      use(held_lock{entry.relation, entry.lock});
}

// Each relation once with its strongest lock.
std::vector<held_lock> all_strong_locks(const transaction_history& history) {
  std::vector<held_lock> locks;
  each_strong_lock(history, [&](const held_lock& lock) {
    const auto known = std::find_if(locks.begin(), locks.end(), [&](const held_lock& each) {
      return may_be_same(each.relation, lock.relation);
    });
    if (known == locks.end())
      locks.push_back(lock);
    else
      known->level = std::max(known->level, lock.level);
  });
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

std::optional<held_lock> strongest_held(const rule_input& input) {
  std::optional<held_lock> strongest;
  each_strong_lock(input.history, [&](const held_lock& lock) {
    if (!strongest || lock.level > strongest->level) strongest = lock;
  });
  return strongest;
}

std::optional<held_lock> held_on(const rule_input& input, const sql::qualified_name& relation) {
  std::optional<held_lock> found;
  each_strong_lock(input.history, [&](const held_lock& lock) {
    if (may_be_same(lock.relation, relation) && (!found || lock.level > found->level)) found = lock;
  });
  return found;
}

std::vector<held_lock> held_before(const rule_input& input) {
  return all_strong_locks(input.history);
}

std::vector<held_lock> newly_taken(const rule_input& input) {
  if (!input.statement.ddl || parts_of(input.statement).size() > 1) return {};
  transaction_history alone;
  alone.add(input.statement, false, input.catalog);
  std::vector<held_lock> taken = all_strong_locks(alone);
  std::erase_if(taken, [&](const held_lock& lock) {
    return input.history.created(lock.relation) || held_on(input, lock.relation).has_value();
  });
  return taken;
}

}  // namespace tidegate::policies
