// REINDEX takes only SHARE on the table, but ACCESS EXCLUSIVE on each index, and planning a query opens them
// all: even reads wait (hazards §0.3).
#include "policies/concurrent_index.hpp"
#include "policies/relation_name.hpp"
#include "policies/remedy.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace tidegate::policies {

const rule& reindex_not_concurrently_rule();

namespace {

bool supports_concurrently(const sql::reindex& statement, const subject* relation, int server_version) {
  if (server_version < 120000 || statement.target == sql::reindex_target::system) return false;
  const bool partitioned = relation && (relation->is('p') || relation->is('I'));
  return !partitioned || server_version >= 140000;
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::reindex>();
  if (!statement || statement->concurrently) return;
  const bool names_relation =
      statement->target == sql::reindex_target::index || statement->target == sql::reindex_target::table;
  finding f;
  subject relation;
  std::string what = "every index of the " +
                     std::string(statement->target == sql::reindex_target::schema ? "schema" : "database");
  if (names_relation) {
    relation = subject_of(input, statement->relation);
    if (relation.certainly_missing || input.history.created(statement->relation)) return;
    f = finding_on(reindex_not_concurrently_rule(), relation);
    what = relation.sql;
    if (relation.facts && !relation.facts->index_table.empty())
      f.relations = {relation.facts->index_table, relation.full_name};
  }
  f.at = input.statement.range.begin;
  f.lock = lock_level::access_exclusive;
  f.message = "reindexing " + what + " blocks reads and writes";
  f.detail =
      "SHARE on the table blocks writes, and ACCESS EXCLUSIVE on the index blocks reads, because planning a "
      "query opens every index of its tables";
  f.detail += names_relation ? "; " + size_in_words(relation) + "." : ".";
  const bool possible =
      supports_concurrently(*statement, names_relation ? &relation : nullptr, input.catalog.server_version);
  if (possible) {
    f.rewritable =
        may_run_concurrently(input.session) && builds_concurrently_safely(input.catalog.server_version);
    steps safe;
    if (auto why = why_not_concurrently(input); !why.empty()) safe.push_back(std::move(why));
    // an option list that switches CONCURRENTLY off would contradict the keyword
    const bool has_options =
        statement->after_target > 0 &&
        input.text.substr(0, static_cast<std::size_t>(statement->after_target))
                .find('(', static_cast<std::size_t>(std::max(input.statement.range.begin, 0))) !=
            std::string_view::npos;
    if (has_options && names_relation)
      safe.push_back(std::string("REINDEX ") + (statement->verbose ? "(VERBOSE) " : "") +
                     (statement->target == sql::reindex_target::index ? "INDEX" : "TABLE") +
                     " CONCURRENTLY " + relation.sql + ";");
    else
      safe.push_back(with_concurrently(input, statement->after_target));
    advise(f, std::move(safe));
  } else {
    advise(f, {"REINDEX INDEX CONCURRENTLY …;  -- one index after the other, from PostgreSQL 12 on"});
  }
  out.push_back(std::move(f));
}

}  // namespace

const rule& reindex_not_concurrently_rule() {
  static constexpr rule r{"reindex-not-concurrently", "REINDEX blocks writes, and reads as well",
                          hazard::index_build, verdict::rewrite, check};
  return r;
}

}  // namespace tidegate::policies
