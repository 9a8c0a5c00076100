// CREATE INDEX blocks writes for the whole build; CONCURRENTLY blocks neither reads nor writes.
#include "policies/concurrent_index.hpp"
#include "policies/relation_name.hpp"
#include "policies/remedy.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& create_index_not_concurrently_rule();

namespace {

// The parent's index without a build, one per partition CONCURRENTLY, and ATTACH.
steps partitioned_steps(const sql::create_index& statement, const subject& table) {
  std::string columns;
  for (const auto& column : statement.columns) columns += column.empty() ? "" : "_" + column;
  const auto named = [&](const subject& relation) {
    return object_name(relation, columns.empty() ? "" : std::string_view(columns).substr(1), "idx");
  };
  const std::string unique = statement.unique ? "UNIQUE " : "";
  const std::string parent_index =
      sql::quote_identifier(statement.name.empty() ? named(table) : statement.name);
  steps out{"CREATE " + unique + "INDEX " + parent_index + " ON ONLY " + table.sql +
            " …;  -- builds nothing"};
  for (const auto& partition : table.facts->partitions) {
    const auto written = split_full_name(partition);
    subject relation;
    relation.written = &written;
    const std::string index = sql::quote_identifier(named(relation));
    out.push_back("CREATE " + unique + "INDEX CONCURRENTLY " + index + " ON " + partition + " …;");
    out.push_back("ALTER INDEX " + parent_index + " ATTACH PARTITION " +
                  sql::quote_name({.database = {}, .schema = written.schema, .name = named(relation)}) + ";");
  }
  return out;
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::create_index>();
  if (!statement || statement->concurrently) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  if (statement->only && table.is('p')) return;  // makes an invalid index on the parent, builds nothing
  if (statement->if_not_exists && table.facts && table.facts->index(statement->name)) return;

  finding f = finding_on(create_index_not_concurrently_rule(), table);
  f.lock = lock_level::share;
  f.message = "creating an index on " + table.sql + " blocks writes until it is built";
  f.detail = detail_of(f.lock, table, "the index is built");
  if (!table.facts && statement->only)
    f.lacked_fact = "whether " + table.sql + " is partitioned, so that nothing is built";
  if (table.is('p')) {
    advise(f, partitioned_steps(*statement, table));
  } else {
    f.rewritable =
        may_run_concurrently(input.session) && builds_concurrently_safely(input.catalog.server_version);
    steps safe;
    if (auto why = why_not_concurrently(input); !why.empty()) safe.push_back(std::move(why));
    safe.push_back(with_concurrently(input, statement->after_index));
    advise(f, std::move(safe));
  }
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_index_not_concurrently_rule() {
  static constexpr rule r{"create-index-not-concurrently",
                          "CREATE INDEX blocks writes until the index is built", hazard::index_build,
                          verdict::rewrite, check};
  return r;
}

}  // namespace tidegate::policies
