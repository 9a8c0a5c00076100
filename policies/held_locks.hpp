#pragma once
// Strong locks of a transaction on tables that others use: those it holds and those that a statement adds.
// Pure.

#include "policies/rule.hpp"

#include <optional>
#include <string>
#include <vector>

namespace tidegate::policies {

struct held_lock {
  sql::qualified_name relation;
  lock_level level = lock_level::none;

  std::string name() const;  // the name, quoted where needed
};

// Of what the transaction took before this statement: the strongest; what is on this relation.
std::optional<held_lock> strongest_held(const rule_input& input);
std::optional<held_lock> held_on(const rule_input& input, const sql::qualified_name& relation);
// All of it, each relation once, the strongest first. For the end of a transaction: it takes its time where
// thousands of tables are locked.
std::vector<held_lock> held_before(const rule_input& input);

// What the statement itself takes, on tables that the transaction holds no strong lock on yet. Nothing for
// those that only carry others (DO, EXPLAIN ANALYZE, …): their parts are judged by themselves.
std::vector<held_lock> newly_taken(const rule_input& input);

// The same relation, or it may be: one of the names has no schema.
bool may_be_same(const sql::qualified_name& a, const sql::qualified_name& b);

}  // namespace tidegate::policies
