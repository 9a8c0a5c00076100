// DETACH PARTITION takes ACCESS EXCLUSIVE on parent, partition and default partition. CONCURRENTLY (14+)
// takes SHARE UPDATE EXCLUSIVE, and is refused while there is a default partition.
#include "policies/subject.hpp"

#include <string>
#include <utility>

namespace tidegate::policies {

const rule& detach_partition_not_concurrently_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::detach_partition || command.concurrently || !command.partition)
      continue;
    const subject parent = subject_of(input, statement->relation);
    const subject table = subject_of(input, *command.partition);
    if (parent.certainly_missing || table.certainly_missing) continue;
    const bool has_default = parent.facts && !parent.facts->default_partition.empty();
    // There is no other way: what is left is to wait for the lock a moment at a time, and that the gateway
    // does.
    if (input.session.guarded && (has_default || input.catalog.server_version < 140000)) continue;
    finding f = finding_on(detach_partition_not_concurrently_rule(), parent, command);
    f.relations.push_back(table.full_name);
    f.message = "detaching " + table.sql + " blocks reads and writes of " + parent.sql;
    f.detail = lock_in_words(f.lock, parent) + " until the transaction ends, on " + table.sql + " as well; " +
               size_in_words(parent) + ".";
    const std::string detach = "ALTER TABLE " + parent.sql + " DETACH PARTITION " + table.sql;
    if (has_default)
      advise(f,
             {"SET lock_timeout = '2s';  -- a default partition forbids CONCURRENTLY; try again after 55P03",
              detach + ";"});
    else if (input.catalog.server_version < 140000)
      advise(f,
             {"SET lock_timeout = '2s';  -- CONCURRENTLY came with 14; try again after 55P03", detach + ";"});
    else
      advise(f, {detach + " CONCURRENTLY;"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& detach_partition_not_concurrently_rule() {
  static constexpr rule r{"detach-partition-not-concurrently",
                          "DETACH PARTITION locks the parent against reads and writes", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
