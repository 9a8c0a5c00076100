// SET ACCESS METHOD (15+) writes the table and its indexes anew under ACCESS EXCLUSIVE.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& set_access_method_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement) return;
  const subject table = subject_of(input, statement->relation);
  // of a partitioned table (17+) it is for partitions to come
  if (table.certainly_missing || table.is('p')) return;
  for (const auto& command : statement->commands) {
    if (command.action != sql::alter_action::set_access_method) continue;
    if (table.facts && table.facts->access_method == command.name) continue;
    finding f = finding_on(set_access_method_rule(), table, command);
    const std::string method = sql::quote_identifier(command.name);
    f.message = "SET ACCESS METHOD " + method + " writes " + table.sql +
                " anew and blocks reads and writes meanwhile";
    f.detail = detail_of(f.lock, table, "the table is copied and all indexes are built again");
    advise(f, {"CREATE TABLE … (LIKE " + table.sql + " INCLUDING ALL) USING " + method + ";",
               "-- copy in batches, keep it up with a trigger, then exchange the names; else a maintenance "
               "window"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& set_access_method_rule() {
  static constexpr rule r{"set-access-method", "SET ACCESS METHOD rewrites the table", hazard::no_way,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
