// VACUUM FULL writes the table anew under ACCESS EXCLUSIVE.
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& vacuum_full_rule();

namespace {

void report(const rule_input& input, findings& out, finding f, const std::string& what) {
  f.message = "VACUUM FULL writes " + what + " anew and blocks reads and writes meanwhile";
  if (f.at < 0) f.at = input.statement.range.begin;
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  const auto* vacuum = input.statement.as<sql::vacuum>();
  if (!vacuum || !vacuum->is_vacuum || !vacuum->full) return;
  for (const auto& name : vacuum->relations) {
    const subject table = subject_of(input, name);
    if (table.certainly_missing) continue;
    finding f = finding_on(vacuum_full_rule(), table);
    f.detail = detail_of(f.lock, table, "the table is copied and all indexes are built again");
    advise(f, {"VACUUM " + table.sql + ";  -- to give the space back as well: pg_repack or pg_squeeze"});
    report(input, out, std::move(f), table.sql);
  }
  if (!vacuum->relations.empty()) return;
  finding f;
  f.rule = vacuum_full_rule().id;
  f.action = vacuum_full_rule().default_action;
  f.lock = lock_level::access_exclusive;
  f.detail = "ACCESS EXCLUSIVE on one table of the database after the other.";
  advise(f, {"VACUUM;"});
  report(input, out, std::move(f), "every table");
}

}  // namespace

const rule& vacuum_full_rule() {
  static constexpr rule r{"vacuum-full", "VACUUM FULL rewrites the table", hazard::no_way, verdict::block,
                          check};
  return r;
}

}  // namespace tidegate::policies
