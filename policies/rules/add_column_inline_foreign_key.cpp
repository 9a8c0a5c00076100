// ADD COLUMN … REFERENCES: PostgreSQL trusts a column that is all NULL and does not look. With a default,
// even DEFAULT NULL, it joins both tables under ACCESS EXCLUSIVE here and SHARE ROW EXCLUSIVE there.
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& add_column_inline_foreign_key_rule();

namespace {

using sql::constraint_kind;

bool has_default(const sql::alter_command& command) {
  return command.column &&
         (command.column->is_serial() || command.column->find(constraint_kind::default_value));
}

// Up to 12 the default of any new column in the statement, or a foreign key added by itself, makes PostgreSQL
// check them all (transformAlterTableStmt()); since then only the column's own default counts.
bool validates(const altered& added, int server_version) {
  if (server_version >= 130000) return has_default(*added.command);
  const auto& commands = added.statement->commands;
  return std::any_of(commands.begin(), commands.end(), [](const sql::alter_command& command) {
    return has_default(command) ||
           (command.action == sql::alter_action::add_constraint && command.constraint &&
            command.constraint->kind == constraint_kind::foreign_key);
  });
}

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_columns(input)) {
    const auto* key = added.command->column->find(constraint_kind::foreign_key);
    if (!key || !key->referenced || key->not_enforced || !validates(added, input.catalog.server_version))
      continue;
    const subject referenced = subject_of(input, *key->referenced);
    finding f = finding_on(add_column_inline_foreign_key_rule(), added);
    f.relations.push_back(referenced.full_name);
    f.message = "adding column " + added.column_sql() + " with a default and a foreign key to " +
                referenced.sql + " looks up every row of " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row is looked up") + " " +
               lock_in_words(lock_level::share_row_exclusive, referenced) + " as long.";
    f.constraint = key->name;
    advise(f, add_column_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_column_inline_foreign_key_rule() {
  static constexpr rule r{"add-column-inline-foreign-key",
                          "a new column with a default and a foreign key checks every row",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
