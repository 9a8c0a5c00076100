// A new partition takes values away from the default partition: PostgreSQL scans that one for rows that would
// belong elsewhere now, under ACCESS EXCLUSIVE, unless its valid constraints exclude them.
#include "policies/partitioning.hpp"
#include "policies/relation_name.hpp"

#include <iterator>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& attach_partition_default_scan_rule();

namespace {

void report(const rule_input& input, findings& out, const subject& parent, const subject& table,
            const sql::partition_bound& bound, const sql::create_table* create) {
  auto scan = default_scan_of(parent, bound, input.catalog);
  if (scan.partition.empty()) return;
  const sql::qualified_name name = split_full_name(scan.partition);
  subject scanned;
  scanned.written = &name;
  scanned.facts = scan.facts;
  scanned.sql = scanned.full_name = scan.partition;
  finding f = finding_on(attach_partition_default_scan_rule(), scanned);
  f.at = table.written->at;
  f.message = std::string(create ? "creating" : "attaching") + " partition " + table.sql +
              " scans the default partition " + scan.partition + " while it is locked";
  f.detail = detail_of(f.lock, scanned, "its rows are checked against the bounds of the new partition");
  steps all = std::move(scan.before);
  if (create) all.push_back(create_apart_sql(*create, parent));
  all.push_back("ALTER TABLE " + parent.sql + " ATTACH PARTITION " + table.sql + " " + bound.text + ";");
  std::move(scan.after.begin(), scan.after.end(), std::back_inserter(all));
  advise(f, std::move(all));
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* create = input.statement.as<sql::create_table>()) {
    if (!create->partition_of || !create->bound) return;
    const subject table = subject_of(input, create->relation);
    if (create->if_not_exists && table.facts) return;
    report(input, out, subject_of(input, *create->partition_of), table, *create->bound, create);
  } else if (const auto* alter = input.statement.as<sql::alter_table>()) {
    for (const auto& command : alter->commands)
      if (command.action == sql::alter_action::attach_partition && command.partition && command.bound)
        report(input, out, subject_of(input, alter->relation), subject_of(input, *command.partition),
               *command.bound, nullptr);
  }
}

}  // namespace

const rule& attach_partition_default_scan_rule() {
  static constexpr rule r{"attach-partition-default-scan",
                          "a new partition scans the default partition unless constraints exclude its rows",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
