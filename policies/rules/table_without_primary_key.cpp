// Without a primary key rows can't be told apart: logical replication has no identity to find them by, and
// batches have nothing to go by. Only a CREATE TABLE that stands alone is judged: behind it in a transaction
// the key may still come.
#include "policies/subject.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& table_without_primary_key_rule();

namespace {

bool has_primary_key(const sql::create_table& table) {
  const auto is_key = [](const auto& constraint) {
    return constraint.kind == sql::constraint_kind::primary_key;
  };
  return std::any_of(table.constraints.begin(), table.constraints.end(), is_key) ||
         std::any_of(table.columns.begin(), table.columns.end(),
                     [](const auto& column) { return column.find(sql::constraint_kind::primary_key); });
}

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::create_table>();
  if (!create || input.session.in_transaction || !input.session.alone_in_message) return;
  if (create->temporary || create->unlogged || create->foreign || create->relation.schema == "pg_temp")
    return;
  // a partition has the key of its parent, a copy may have that of its model
  if (create->partition_of || !create->like.empty() || has_primary_key(*create)) return;
  const subject table = subject_of(input, create->relation);
  if (create->if_not_exists && table.facts) return;
  finding f = finding_on(table_without_primary_key_rule(), table);
  f.lock = lock_level::none;
  f.message = "table " + table.sql + " has no primary key";
  f.detail =
      "Published, it refuses UPDATE and DELETE with 55000; backfills and batches have no key to go by.";
  advise(f, {"ALTER TABLE " + table.sql + " ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;"});
  f.hint += "  -- while it is empty; or PRIMARY KEY (…) of columns it has";
  out.push_back(std::move(f));
}

}  // namespace

const rule& table_without_primary_key_rule() {
  static constexpr rule r{"table-without-primary-key",
                          "rows without a primary key can't be replicated or found again one by one",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
