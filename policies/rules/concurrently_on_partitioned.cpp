// Indexes of partitioned tables can neither be built nor dropped CONCURRENTLY.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& concurrently_on_partitioned_rule();

namespace {

void refuse(const subject& relation, std::string message, std::vector<std::string> safe, findings& out) {
  finding f = finding_on(concurrently_on_partitioned_rule(), relation);
  f.lock = lock_level::none;
  f.sqlstate = "0A000";
  f.message = std::move(message);
  f.detail = "PostgreSQL works CONCURRENTLY on one table at a time.";
  advise(f, std::move(safe));
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* create = input.statement.as<sql::create_index>()) {
    const subject table = subject_of(input, create->relation);
    if (!create->concurrently || !table.is('p')) return;
    const std::string index = create->name.empty() ? "…" : sql::quote_identifier(create->name);
    refuse(table, "cannot create an index on partitioned table " + table.sql + " concurrently",
           {"CREATE INDEX " + index + " ON ONLY " + table.sql + " …;  -- builds nothing",
            "CREATE INDEX CONCURRENTLY … ON …;  -- on each partition",
            "ALTER INDEX " + index + " ATTACH PARTITION …;  -- each of them"},
           out);
  } else if (const auto* drop = input.statement.as<sql::drop>()) {
    if (!drop->concurrently || drop->kind != sql::object_kind::index) return;
    for (const auto& object : drop->objects) {
      const subject index = subject_of(input, object);
      if (index.is('I'))
        refuse(index, "cannot drop partitioned index " + index.sql + " concurrently",
               {"DROP INDEX " + index.sql + ";  -- takes ACCESS EXCLUSIVE on the table and its partitions"},
               out);
    }
  } else if (const auto* reindex = input.statement.as<sql::reindex>()) {
    if (!reindex->concurrently || reindex->relation.name.empty() || input.catalog.server_version >= 140000)
      return;
    const subject relation = subject_of(input, reindex->relation);
    if (relation.is('p') || relation.is('I'))
      refuse(relation, "cannot reindex partitioned relation " + relation.sql + " before PostgreSQL 14",
             {"REINDEX INDEX CONCURRENTLY …;  -- each index of each partition"}, out);
  }
}

}  // namespace

const rule& concurrently_on_partitioned_rule() {
  static constexpr rule r{"concurrently-on-partitioned",
                          "an index of a partitioned table can't be built or dropped CONCURRENTLY",
                          hazard::will_fail, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
