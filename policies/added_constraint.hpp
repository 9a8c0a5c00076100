#pragma once
// The constraints that ALTER TABLE adds to a table by themselves (not with a new column), what rules ask
// about them, and the safe way to the same constraint (the recipes F3, F4, F5 in docs/rules.md). Pure.

#include "policies/remedy.hpp"
#include "policies/subject.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

struct added_constraint {
  subject table;
  const sql::alter_table* statement = nullptr;
  const sql::alter_command* command = nullptr;
  const sql::constraint_definition* definition = nullptr;
  std::string name;  // as written, or as PostgreSQL would choose it; not quoted
  std::string text;  // as written, without CONSTRAINT and its name

  // PostgreSQL looks at the rows that are there.
  bool validates() const { return !definition->not_valid && !definition->not_enforced; }
};

// Of tables with storage; tables that are not there are left out. Views stay valid as long as the input.
std::vector<added_constraint> added_constraints(const rule_input& input, sql::constraint_kind kind);

// With relations, names, position and the lock on the table filled in.
finding finding_on(const rule& rule, const added_constraint& added);

// CHECK and FOREIGN KEY: NOT VALID first, then VALIDATE. On partitioned tables that take no NOT VALID foreign
// key (before 18): on each partition, then on the parent, which adopts them.
steps validate_later_steps(const added_constraint& added, int server_version);

// UNIQUE and PRIMARY KEY: the index CONCURRENTLY, NOT NULL where a primary key needs it, then USING INDEX. On
// partitioned tables on each partition, then on the parent.
steps use_index_steps(const added_constraint& added, int server_version);

// Every partition has a valid constraint of the same kind on the same columns (and to the same table), so
// that the parent adopts them without looking at a row. False without facts.
bool partitions_have_it(const added_constraint& added, const catalog_snapshot& catalog);

// A written constraint without "CONSTRAINT name" before it.
std::string_view without_name(std::string_view text);

// The columns in the name that PostgreSQL chooses for a constraint, joined by "_".
std::string name_columns(const sql::constraint_definition& definition);

// What that name ends with: "check", "fkey", "key", "pkey", "excl".
std::string_view name_suffix(sql::constraint_kind kind);

// " DEFERRABLE INITIALLY DEFERRED", as far as it was written.
std::string deferral(const sql::constraint_definition& definition);

// A NOT NULL that SET NOT NULL and PRIMARY KEY can rely on: the column's own, or a valid CHECK (12+).
bool is_known_not_null(const relation_facts& table, const std::string& column, int server_version);

}  // namespace tidegate::policies
