// Without its primary key a published table refuses UPDATE and DELETE (55000), foreign keys to it go with
// CASCADE, and ON CONFLICT on it fails.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_primary_key_rule();

namespace {

// The names that PostgreSQL and people give to primary keys.
bool sounds_like_primary_key(std::string_view name) {
  return name.ends_with("_pkey") || name.ends_with("_pk") || name.starts_with("pk_");
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::drop_constraint) continue;
    const auto* constraint = table.facts ? table.facts->constraint(command.name) : nullptr;
    if (table.facts ? !constraint || constraint->kind != 'p' : !sounds_like_primary_key(command.name))
      continue;
    finding f = finding_on(drop_primary_key_rule(), table, command);
    f.constraint = command.name;
    f.message = "dropping primary key " + sql::quote_identifier(command.name) + " of " + table.sql;
    f.detail = lock_in_words(f.lock, table) + " for a moment; then ";
    if (table.facts && table.facts->published)
      f.detail +=
          "UPDATE and DELETE fail, because " + table.sql + " is published and has no replica identity.";
    else
      f.detail += "ON CONFLICT on the key fails, and UPDATE and DELETE as soon as the table is published.";
    if (!table.facts)
      f.lacked_fact =
          "whether " + sql::quote_identifier(command.name) + " is the primary key of " + table.sql;
    if (table.facts && command.cascade)
      for (const auto& reference : table.facts->referenced_by) {
        f.relations.push_back(reference.relation);
        f.detail += " Dropped with it: foreign key " + sql::quote_identifier(reference.constraint) + " of " +
                    reference.relation + ".";
      }
    advise(f, {"CREATE UNIQUE INDEX CONCURRENTLY …;  -- over the columns of the key that is to come",
               "ALTER TABLE " + table.sql + " REPLICA IDENTITY USING INDEX …;",
               "ALTER TABLE " + table.sql + " DROP CONSTRAINT " + sql::quote_identifier(command.name) +
                   ", ADD PRIMARY KEY USING INDEX …;"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_primary_key_rule() {
  static constexpr rule r{"drop-primary-key",
                          "without its primary key a published table refuses UPDATE and DELETE",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
