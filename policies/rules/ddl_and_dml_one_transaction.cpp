// A transaction that has changed a table's schema holds its lock until the end: rows that are changed behind
// it make everybody wait.
#include "policies/held_locks.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace tidegate::policies {

const rule& ddl_and_dml_one_transaction_rule();

namespace {

// Where migration tools keep which migration ran: one row, changed in the transaction of the migration.
constexpr std::string_view version_tables[] = {"__efmigrationshistory",
                                               "_prisma_migrations",
                                               "alembic_version",
                                               "ar_internal_metadata",
                                               "databasechangelog",
                                               "databasechangeloglock",
                                               "django_migrations",
                                               "doctrine_migration_versions",
                                               "flyway_schema_history",
                                               "goose_db_version",
                                               "knex_migrations",
                                               "knex_migrations_lock",
                                               "migrations",
                                               "schema_migrations",
                                               "schema_version",
                                               "sequelizemeta",
                                               "typeorm_metadata",
                                               "__diesel_schema_migrations",
                                               "_sqlx_migrations",
                                               "__drizzle_migrations"};

bool keeps_versions(const sql::qualified_name& relation) {
  std::string folded = relation.name;
  for (char& c : folded)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return std::find(std::begin(version_tables), std::end(version_tables), folded) != std::end(version_tables);
}

// What is written, when it may be many rows: INSERT … VALUES is as long as its text.
std::optional<sql::qualified_name> written(const sql::statement& statement) {
  const auto* copy = statement.as<sql::copy>();
  if (copy && copy->from && copy->relation) return copy->relation;
  const auto* query = statement.as<sql::query>();
  if (!query || query->targets.empty()) return std::nullopt;
  const bool few = query->kind == sql::dml_kind::insert && !query->inserts_query;
  if (few && query->targets.size() == 1) return std::nullopt;
  const auto target = std::find_if(query->targets.begin(), query->targets.end(),
                                   [](const auto& each) { return !keeps_versions(each); });
  if (target == query->targets.end()) return std::nullopt;
  return *target;
}

void check(const rule_input& input, findings& out) {
  const auto target = written(input.statement);
  if (!target) return;
  // the table itself rather than another one
  auto lock = held_on(input, *target);
  if (!lock) lock = strongest_held(input);
  if (!lock) return;
  const subject locked = subject_of(input, lock->relation);
  finding f = finding_on(ddl_and_dml_one_transaction_rule(), locked);
  f.lock = lock->level;
  f.at = input.statement.range.begin;
  const std::string command(input.statement.tag);
  f.message = command + " of " + sql::quote_name(*target) + " in a transaction that holds " +
              std::string(name(lock->level)) + " on " + lock->name();
  f.detail = detail_of(lock->level, locked, "the " + command + " runs, and until the transaction ends");
  advise(f, {"COMMIT;  -- the schema change first", "BEGIN;  -- then the " + command +
                                                        ", in batches by key, "
                                                        "COMMIT after each"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& ddl_and_dml_one_transaction_rule() {
  static constexpr rule r{"ddl-and-dml-one-transaction",
                          "rows changed behind a schema change in its transaction keep its lock held",
                          hazard::online_way, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
