#pragma once
// What a rule knows of the relation and the columns that a statement is about, and how a finding speaks of
// them. Rules read facts only through here, so that a fact that is not to be had is treated the same
// everywhere: the worst is assumed, and the finding says which fact was lacking. Pure.

#include "policies/rule.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

struct subject {
  const sql::qualified_name* written = nullptr;
  const relation_facts* facts = nullptr;  // none: not available, or not found
  bool certainly_missing = false;         // the server will refuse the statement, or skip it (IF EXISTS)
  bool alone = false;     // no other statement in the text that could have changed what the facts say
  std::string sql;        // the name as the user wrote it, quoted where needed: for SQL that can be pasted
  std::string full_name;  // "schema.name" when known: for finding::relations

  bool is(char relkind) const { return facts && facts->kind == relkind; }
};

// Views stay valid as long as the input of the rule.
subject subject_of(const rule_input& input, const sql::qualified_name& written);

// Made by this transaction, or by this user and untouched by others, or temporary: nobody else can be in its
// way. The engine exempts such relations by itself, advice and what the server refuses apart.
bool is_its_own(const rule_input& input, const subject& subject);

// A subcommand of ALTER TABLE with the table and, where it names one that exists, the column.
struct altered {
  subject table;
  const sql::alter_table* statement = nullptr;
  const sql::alter_command* command = nullptr;
  const column_facts* column = nullptr;

  std::string column_sql() const;  // quoted where needed
};

// ADD COLUMN that adds a column to a table with storage: IF NOT EXISTS of an existing column, foreign tables,
// composite types and tables that are not there are left out. `command->column` is set.
std::vector<altered> added_columns(const rule_input& input);
// Subcommands on existing columns of tables, views and foreign tables; missing tables and columns are left
// out.
std::vector<altered> altered_columns(const rule_input& input, sql::alter_action action);

// A finding with rule, relations, names and position filled in; the lock is ACCESS EXCLUSIVE.
finding finding_on(const rule& rule, const subject& subject);
finding finding_on(const rule& rule, const altered& command);
// At a subcommand on the table as a whole.
finding finding_on(const rule& rule, const subject& subject, const sql::alter_command& command);

// "ACCESS EXCLUSIVE on orders blocks reads and writes"
std::string lock_in_words(lock_level lock, const subject& subject);
// "orders has about 5,000,000 rows (1.2 GB)", or that the size is not known.
std::string size_in_words(const subject& subject);
// Both, for an effect that takes as long as the table is big: "… while every row is checked; orders has …".
std::string detail_of(lock_level lock, const subject& subject, std::string_view while_what);

// Fills hint ("Instead: …") and steps.
void advise(finding& finding, std::vector<std::string> steps);

}  // namespace tidegate::policies
