// SET LOGGED and SET UNLOGGED write the table and its indexes anew under ACCESS EXCLUSIVE.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& set_logged_unlogged_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  // a sequence is one row
  if (!statement || statement->kind == sql::object_kind::sequence) return;
  const subject table = subject_of(input, statement->relation);
  // a partitioned table has nothing to write: its partitions stay as they are
  if (table.certainly_missing || table.is('p') || table.is('S')) return;
  for (const auto& command : statement->commands) {
    const bool logged = command.action == sql::alter_action::set_logged;
    if (!logged && command.action != sql::alter_action::set_unlogged) continue;
    if (table.facts && table.facts->persistence == (logged ? 'p' : 'u')) continue;
    finding f = finding_on(set_logged_unlogged_rule(), table, command);
    f.message = std::string(logged ? "SET LOGGED" : "SET UNLOGGED") + " writes " + table.sql +
                " anew and blocks reads and writes meanwhile";
    f.detail = detail_of(f.lock, table, "the table is copied and all indexes are built again");
    f.detail += logged ? " All of it goes through the WAL."
                       : " After a crash an unlogged table is empty, as on replicas.";
    advise(f, {std::string("CREATE ") + (logged ? "" : "UNLOGGED ") + "TABLE … (LIKE " + table.sql +
                   " INCLUDING ALL);",
               "-- copy in batches, keep it up with a trigger, then exchange the names; else a maintenance "
               "window"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& set_logged_unlogged_rule() {
  static constexpr rule r{"set-logged-unlogged", "SET LOGGED and SET UNLOGGED rewrite the table",
                          hazard::no_way, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
