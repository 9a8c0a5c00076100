// DROP INDEX is instant, but waits for ACCESS EXCLUSIVE on table and index, and all others wait behind it.
// CONCURRENTLY waits without being in anybody's way.
#include "policies/concurrent_index.hpp"
#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_index_not_concurrently_rule();

namespace {

bool belongs_to_constraint(const subject& index, const catalog_snapshot& catalog) {
  const auto table = catalog.relation_by_full_name(index.facts->index_table);
  const auto* facts = table ? table->index(index.facts->name) : nullptr;
  return facts && !facts->constraint.empty();
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::drop>();
  if (!statement || statement->kind != sql::object_kind::index || statement->concurrently) return;
  for (const auto& object : statement->objects) {
    const subject index = subject_of(input, object);
    if (index.certainly_missing || input.history.created(object)) continue;
    // partitioned indexes have no concurrent way, and those of constraints are refused
    // (drop-constraint-index)
    if (index.is('I') || (index.facts && belongs_to_constraint(index, input.catalog))) continue;
    finding f = finding_on(drop_index_not_concurrently_rule(), index);
    subject locked = index;
    sql::qualified_name table_name;
    if (index.facts && !index.facts->index_table.empty()) {
      table_name = split_full_name(index.facts->index_table);
      locked = subject_of(input, table_name);
      if (const auto facts = input.catalog.relation_by_full_name(index.facts->index_table))
        locked.facts = facts.facts;
      f.relations = {index.facts->index_table, index.full_name};
      f.schema = table_name.schema;
      f.table = table_name.name;
    }
    f.message = "dropping index " + index.sql + " locks its table";
    f.detail = (index.facts ? lock_in_words(f.lock, locked)
                            : std::string(name(f.lock)) + " on the table of " + index.sql + " blocks " +
                                  std::string(what_it_blocks(f.lock))) +
               ", and whatever comes after it waits behind it until it gets its lock.";
    if (!index.facts) f.lacked_fact = "which table " + index.sql + " is on and how big it is";
    f.rewritable =
        may_run_concurrently(input.session) && statement->objects.size() == 1 && !statement->cascade;
    std::vector<std::string> safe;
    if (input.session.in_transaction) safe.emplace_back("-- outside the transaction:");
    safe.push_back("DROP INDEX CONCURRENTLY " + std::string(statement->if_exists ? "IF EXISTS " : "") +
                   index.sql + ";");
    advise(f, std::move(safe));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_index_not_concurrently_rule() {
  static constexpr rule r{"drop-index-not-concurrently",
                          "DROP INDEX waits for its table, and all others wait behind it",
                          hazard::index_build, verdict::rewrite, check};
  return r;
}

}  // namespace tidegate::policies
