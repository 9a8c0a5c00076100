// The new table is empty, but the table it refers to is locked against writes until the transaction ends.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& create_table_foreign_key_lock_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::create_table>();
  if (!statement) return;
  const auto look = [&](const sql::constraint_definition& constraint) {
    if (!constraint.referenced || *constraint.referenced == statement->relation) return;
    const subject referenced = subject_of(input, *constraint.referenced);
    if (referenced.certainly_missing) return;
    finding f = finding_on(create_table_foreign_key_lock_rule(), referenced);
    f.lock = lock_level::share_row_exclusive;
    f.message = "creating table " + sql::quote_name(statement->relation) + " with a foreign key locks " +
                referenced.sql;
    f.detail =
        lock_in_words(f.lock, referenced) + " until the transaction ends; " + size_in_words(referenced) + ".";
    f.constraint = constraint.name;
    out.push_back(std::move(f));
  };
  for (const auto& constraint : statement->constraints) look(constraint);
  for (const auto& column : statement->columns)
    for (const auto& constraint : column.constraints) look(constraint);
}

}  // namespace

const rule& create_table_foreign_key_lock_rule() {
  static constexpr rule r{"create-table-foreign-key-lock",
                          "a new table's foreign key blocks writes to the referenced table for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
