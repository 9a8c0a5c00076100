// SET TABLESPACE copies the table or index under ACCESS EXCLUSIVE. (An index is opened by every query that is
// planned on its table: reads wait there, too.)
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace tidegate::policies {

const rule& set_tablespace_rule();

namespace {

std::string_view kind_in_words(sql::object_kind kind) {
  return kind == sql::object_kind::index               ? "index"
         : kind == sql::object_kind::materialized_view ? "materialized view"
                                                       : "table";
}

void of_relation(const rule_input& input, const sql::alter_table& statement, findings& out) {
  const subject relation = subject_of(input, statement.relation);
  // partitioned tables and indexes have nothing to copy: it is for partitions to come
  if (relation.certainly_missing || relation.is('p') || relation.is('I')) return;
  const bool index = statement.kind == sql::object_kind::index || relation.is('i');
  for (const auto& command : statement.commands) {
    if (command.action != sql::alter_action::set_tablespace) continue;
    if (relation.facts && relation.facts->tablespace == command.name) continue;
    finding f = finding_on(set_tablespace_rule(), relation, command);
    const std::string to = sql::quote_identifier(command.name);
    f.message = "moving " + relation.sql + " to tablespace " + to + " copies it while it is locked";
    f.detail = detail_of(f.lock, relation, "every block is copied");
    if (index) {
      f.detail += " Every query over its table opens the index, and waits.";
      advise(f,
             {"REINDEX (CONCURRENTLY, TABLESPACE " + to + ") INDEX " + relation.sql + ";  -- 14 and later"});
    } else {
      advise(f,
             {"-- pg_repack --tablespace=" + to + " --table=" + relation.sql +
              "; in SQL only a maintenance window; indexes: REINDEX (CONCURRENTLY, TABLESPACE " + to + ")"});
    }
    out.push_back(std::move(f));
  }
}

void check(const rule_input& input, findings& out) {
  if (const auto* statement = input.statement.as<sql::alter_table>()) {
    of_relation(input, *statement, out);
    return;
  }
  const auto* move = input.statement.as<sql::move_all_in_tablespace>();
  if (!move) return;
  const std::string kind(kind_in_words(move->kind));
  finding f;
  f.rule = set_tablespace_rule().id;
  f.action = set_tablespace_rule().default_action;
  f.lock = lock_level::access_exclusive;
  f.at = input.statement.range.begin;
  f.message = "moving every " + kind + " of tablespace " + sql::quote_identifier(move->from) +
              " copies them while they are locked";
  f.detail = "ACCESS EXCLUSIVE on each of them, all until the transaction ends.";
  advise(f, {"-- one by one: pg_repack --tablespace=" + sql::quote_identifier(move->to) + " --table=…"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& set_tablespace_rule() {
  static constexpr rule r{"set-tablespace", "SET TABLESPACE copies the table or index under a strong lock",
                          hazard::no_way, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
