// CLUSTER writes the table anew in the order of an index, under ACCESS EXCLUSIVE. ALTER TABLE … CLUSTER ON
// only remembers the index.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& cluster_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* cluster = input.statement.as<sql::cluster>();
  if (!cluster) return;
  finding f;
  if (cluster->relation) {
    const subject table = subject_of(input, *cluster->relation);
    if (table.certainly_missing) return;
    f = finding_on(cluster_rule(), table);
    f.message = "CLUSTER writes " + table.sql + " anew and blocks reads and writes meanwhile";
    f.detail = detail_of(f.lock, table, "the table is copied in order and all indexes are built again");
  } else {
    f.rule = cluster_rule().id;
    f.action = cluster_rule().default_action;
    f.lock = lock_level::access_exclusive;
    f.message = "CLUSTER writes every table clustered before anew and blocks reads and writes meanwhile";
    f.detail = "ACCESS EXCLUSIVE on one clustered table after the other.";
  }
  if (f.at < 0) f.at = input.statement.range.begin;
  advise(f,
         {"-- pg_repack or pg_squeeze keep the table in use while they order it; else a maintenance window"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& cluster_rule() {
  static constexpr rule r{"cluster", "CLUSTER rewrites the table", hazard::no_way, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
