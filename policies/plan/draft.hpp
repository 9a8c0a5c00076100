#pragma once
// What the parts of the planner write steps into: one table, its facts, and the names that are still free.

#include "policies/plan/plan.hpp"
#include "policies/subject.hpp"

#include <initializer_list>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::policies {

// There is no plan for it; `what()` says why. Caught by make_plan().
struct not_planned : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class draft {
 public:
  // Of a table whose facts are known.
  draft(const rule_input& input, subject table, bool only);

  const rule_input& input() const { return input_; }
  const subject& table() const { return table_; }
  const relation_facts& facts() const { return *table_.facts; }
  int server_version() const { return input_.catalog.server_version; }
  bool only() const { return only_; }

  std::string alter() const;                          // "ALTER TABLE [ONLY] t "
  std::string beside(const std::string& name) const;  // quoted, in the schema of the table

  // CREATE SEQUENCE `name` (quoted) `options`, owned by the column, as the table's owner has it.
  std::string make_sequence(const std::string& name, const std::string& options,
                            const std::string& column) const;

  // Names as PostgreSQL chooses them, with a number when they are taken; taken from then on.
  std::string new_constraint(const std::string& columns, std::string_view suffix);
  std::string new_relation(const std::string& columns, std::string_view suffix);
  // A written name is nobody else's afterwards.
  void takes(const std::string& name);

  // Columns that earlier steps have made NOT NULL.
  bool made_not_null(const std::string& column) const { return not_null_.contains(column); }
  void makes_not_null(const std::string& column) { not_null_.insert(column); }

  plan_step& add(step_kind kind, std::string sql, std::string done, std::string undo = {});
  plan_step& last() { return steps_.back(); }

  std::vector<plan_step> take_steps() { return std::move(steps_); }

 private:
  const rule_input& input_;
  subject table_;
  bool only_;
  std::set<std::string, std::less<>> relations_, constraints_;  // names taken in the schema
  std::set<std::string, std::less<>> not_null_;
  std::vector<plan_step> steps_;
};

// Queries of one boolean, for plan_step::done.
namespace probe {
std::string column(std::uint32_t table, std::string_view name);
std::string not_null(std::uint32_t table, std::string_view column);
std::string identity(std::uint32_t table, std::string_view column);
std::string collation(std::uint32_t table, std::string_view column, std::string_view name);
std::string constraint(std::uint32_t table, std::string_view name);
std::string valid_constraint(std::uint32_t table, std::string_view name);
std::string no_constraint(std::uint32_t table, std::string_view name);
std::string valid_index(std::uint32_t table, std::string_view name);
std::string both(const std::string& a, const std::string& b);
}  // namespace probe

// Adds "; " where one statement follows another in the same transaction.
std::string in_one_transaction(std::initializer_list<std::string> statements);

}  // namespace tidegate::policies
