// CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the parent; the same table made by itself and
// attached takes SHARE UPDATE EXCLUSIVE, in nobody's way.
#include "policies/partitioning.hpp"

#include <iterator>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& create_partition_of_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::create_table>();
  // a temporary partition has a temporary parent
  if (!create || !create->partition_of || !create->bound || create->temporary ||
      create->relation.schema == "pg_temp")
    return;
  const subject parent = subject_of(input, *create->partition_of);
  const subject table = subject_of(input, create->relation);
  if (parent.certainly_missing || (create->if_not_exists && table.facts)) return;
  finding f = finding_on(create_partition_of_rule(), parent);
  f.message = "creating " + table.sql + " as a partition of " + parent.sql + " blocks reads and writes of " +
              parent.sql;
  f.detail = lock_in_words(f.lock, parent) + " until the transaction ends; " + size_in_words(parent) + ".";
  auto others = default_scan_of(parent, *create->bound, input.catalog);
  steps all = std::move(others.before);
  all.push_back(create_apart_sql(*create, parent));
  all.push_back("ALTER TABLE " + parent.sql + " ATTACH PARTITION " + table.sql + " " + create->bound->text +
                ";  -- SHARE UPDATE EXCLUSIVE on " + parent.sql);
  std::move(others.after.begin(), others.after.end(), std::back_inserter(all));
  advise(f, std::move(all));
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_partition_of_rule() {
  static constexpr rule r{"create-partition-of",
                          "CREATE TABLE … PARTITION OF locks the parent against reads and writes",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
