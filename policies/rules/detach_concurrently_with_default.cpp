// DETACH PARTITION … CONCURRENTLY is refused (55000) while the parent has a default partition: rows of the
// detached one could not be told from those that belong there.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& detach_concurrently_with_default_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::detach_partition || !command.concurrently || !command.partition)
      continue;
    const subject parent = subject_of(input, statement->relation);
    if (!parent.facts || parent.facts->default_partition.empty()) continue;
    const subject table = subject_of(input, *command.partition);
    finding f = finding_on(detach_concurrently_with_default_rule(), parent, command);
    f.lock = lock_level::none;
    f.sqlstate = "55000";
    f.message =
        "cannot detach " + table.sql + " concurrently while " + parent.sql + " has a default partition";
    f.detail = "The default partition is " + parent.facts->default_partition + ".";
    advise(f, {"ALTER TABLE " + parent.sql + " DETACH PARTITION " + table.sql +
               ";  -- ACCESS EXCLUSIVE on both and on the default partition, for a moment"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& detach_concurrently_with_default_rule() {
  static constexpr rule r{"detach-concurrently-with-default",
                          "a default partition forbids DETACH PARTITION CONCURRENTLY", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
