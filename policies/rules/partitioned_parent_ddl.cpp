// What ALTER TABLE does to a partitioned table it does to every partition, under the same lock. With ONLY,
// PostgreSQL refuses what the partitions would have to have as well (42P16).
#include "policies/locks.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& partitioned_parent_ddl_rule();

namespace {

using sql::alter_action;

// Measured on PostgreSQL 15; children of inheritance may keep a column that their parent drops.
bool refused_with_only(const sql::alter_command& command, bool partitioned) {
  switch (command.action) {
    case alter_action::add_column:
    case alter_action::alter_type:
      return true;
    case alter_action::add_constraint:
      return command.constraint && command.constraint->kind == sql::constraint_kind::check &&
             !command.constraint->no_inherit;
    case alter_action::drop_column:
    case alter_action::drop_not_null:
      return partitioned;
    default:
      return false;
  }
}

std::string commands_as_written(const rule_input& input, const sql::alter_table& statement) {
  const auto begin = statement.commands.front().range.begin;
  const auto end = statement.commands.back().range.end;
  if (begin < 0 || end <= begin || end > static_cast<sql::position>(input.text.size())) return "…";
  return std::string(
      input.text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
}

void report_only(const subject& table, const sql::alter_command& command, const std::string& rest,
                 findings& out) {
  finding f = finding_on(partitioned_parent_ddl_rule(), table, command);
  f.message = "with ONLY this fails as long as " + table.sql + " has partitions or children";
  f.detail = "PostgreSQL answers 42P16: they must be changed as well.";
  if (!table.facts) f.lacked_fact = "whether " + table.sql + " has partitions";
  advise(f, {"ALTER TABLE " + table.sql + " " + rest + ";"});
  out.push_back(std::move(f));
}

void report_fan_out(const subject& table, lock_level lock, findings& out) {
  const std::size_t count = table.facts->partitions.size();
  finding f = finding_on(partitioned_parent_ddl_rule(), table);
  f.lock = lock;
  for (const auto& partition : table.facts->partitions) f.relations.push_back(partition);
  f.message = "this locks " + table.sql + " and every one of its partitions";
  f.detail = lock_in_words(lock, table) + ", and on its " +
             (count == 1 ? "partition" : std::to_string(count) + " partitions") +
             " too, all of them until the transaction ends; " + size_in_words(table) + ".";
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_table>();
  if (!statement || statement->kind != sql::object_kind::table) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing || is_its_own(input, table)) return;
  const bool has_children = table.facts && !table.facts->partitions.empty();
  if (statement->only) {
    if (table.facts && !has_children) return;
    const auto it = std::find_if(statement->commands.begin(), statement->commands.end(),
                                 [&](const sql::alter_command& command) {
                                   // pg_dump writes ONLY before every constraint: without facts it says
                                   // nothing
                                   return refused_with_only(command, table.is('p')) &&
                                          (table.facts || command.action == alter_action::add_column);
                                 });
    if (it == statement->commands.end()) return;
    report_only(table, *it, commands_as_written(input, *statement), out);
    return;
  }
  const lock_level lock = lock_of(*statement);
  if (table.is('p') && has_children && blocks_writes(lock) &&
      std::any_of(statement->commands.begin(), statement->commands.end(), reaches_partitions))
    report_fan_out(table, lock, out);
}

}  // namespace

const rule& partitioned_parent_ddl_rule() {
  static constexpr rule r{"partitioned-parent-ddl",
                          "a change of a partitioned table locks every partition alike", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
