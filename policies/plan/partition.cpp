#include "policies/plan/partition.hpp"

#include "policies/plan/draft.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"

#include <array>
#include <string>
#include <string_view>

namespace tidegate::policies {
namespace {

using sql::alter_action;
using sql::quote_identifier;

// The one that says all there is to do comes first.
constexpr std::array<std::string_view, 4> planned_rules = {"attach-partition-scan", "create-partition-of",
                                                           "attach-partition-default-scan",
                                                           "detach-partition-not-concurrently"};

const finding& finding_with_steps(const decision& decision) {
  for (const std::string_view rule : planned_rules)
    for (const auto& found : decision.reported)
      if (found.rule == rule && found.action >= verdict::rewrite) return found;
  throw not_planned("there is no plan for it");
}

// Without the semicolon and the remark behind it.
std::string bare(std::string_view step) {
  const auto remark = step.find(";  --");
  std::string text(step.substr(0, remark));
  while (!text.empty() && (text.back() == ';' || text.back() == ' ')) text.pop_back();
  return text;
}

const relation_facts& facts_of(const rule_input& input, const sql::qualified_name& relation) {
  const auto found = input.catalog.relation(relation);
  if (!found) throw not_planned("the facts of " + sql::quote_name(relation) + " are not known");
  return *found.facts;
}

std::string is_partition(const relation_facts& parent, const sql::qualified_name& partition) {
  return "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = " +
         std::to_string(parent.oid) + "::pg_catalog.oid AND h.inhrelid = pg_catalog.to_regclass(" +
         sql::quote_literal(sql::quote_name(partition)) + "))";
}

plan_step step_of(const rule_input& input, const std::string& text) {
  const auto parsed = sql::parse(text);
  if (!parsed.ok() || parsed.statements.size() != 1)
    throw not_planned("a step of it has to be written by hand");
  const sql::statement& statement = parsed.statements.front();
  plan_step step;
  step.sql = text;
  step.locks = locks_of(text, input.catalog);
  if (const auto* create = statement.as<sql::create_index>()) {
    const relation_facts& table = facts_of(input, create->relation);
    step.kind = step_kind::concurrent;
    step.done = probe::valid_index(table.oid, create->name);
    step.undo = "DROP INDEX CONCURRENTLY IF EXISTS " +
                sql::quote_name({.database = {}, .schema = table.schema, .name = create->name});
    return step;
  }
  if (const auto* made = statement.as<sql::create_table>()) {
    step.done = "SELECT pg_catalog.to_regclass(" + sql::quote_literal(sql::quote_name(made->relation)) +
                ") IS NOT NULL";
    step.undo = "DROP TABLE IF EXISTS " + sql::quote_name(made->relation);
    return step;
  }
  const auto* alter = statement.as<sql::alter_table>();
  if (!alter || alter->commands.size() != 1) throw not_planned("a step of it has to be written by hand");
  const sql::alter_command& command = alter->commands.front();
  const auto table = [&]() -> const relation_facts& { return facts_of(input, alter->relation); };
  const std::string undo = "ALTER TABLE " + sql::quote_name(alter->relation) + " DROP CONSTRAINT IF EXISTS " +
                           quote_identifier(command.name);
  switch (command.action) {
    case alter_action::add_constraint:
      step.done = probe::constraint(table().oid, command.name);
      step.undo = undo;
      return step;
    case alter_action::validate_constraint:
      step.kind = step_kind::checking;
      step.done = probe::valid_constraint(table().oid, command.name);
      return step;
    case alter_action::drop_constraint:
      step.done = probe::no_constraint(table().oid, command.name);
      return step;
    case alter_action::attach_partition:
      step.done = is_partition(table(), *command.partition);
      return step;
    case alter_action::detach_partition:
      step.kind = command.concurrently ? step_kind::concurrent : step_kind::brief;
      step.done = "SELECT NOT (" + is_partition(table(), *command.partition) + ")";
      return step;
    default:
      throw not_planned("a step of it has to be written by hand");
  }
}

// DETACH … CONCURRENTLY leaves a CHECK of the bounds behind, which the plain one does not.
plan_step without_left_check(const rule_input& input, const sql::alter_table& alter) {
  const sql::qualified_name& partition = *alter.commands.front().partition;
  const relation_facts& parent = facts_of(input, alter.relation);
  facts_of(input, partition);  // or there is no plan
  draft names(input, subject_of(input, partition), false);
  const auto& key = parent.partition_columns;
  const std::string name = names.new_constraint(key.size() == 1 ? key.front() : std::string(), "check");
  return step_of(input, "ALTER TABLE " + sql::quote_name(partition) + " DROP CONSTRAINT IF EXISTS " +
                            quote_identifier(name));
}

}  // namespace

std::vector<plan_step> plan_partition(const rule_input& input, const decision& decision) {
  const finding& found = finding_with_steps(decision);
  std::vector<plan_step> steps;
  for (const auto& text : found.steps) {
    if (text.find("…") != std::string::npos) throw not_planned("a step of it has to be written by hand");
    steps.push_back(step_of(input, bare(text)));
  }
  const auto* alter = input.statement.as<sql::alter_table>();
  if (alter && alter->commands.front().action == alter_action::detach_partition &&
      steps.back().kind == step_kind::concurrent)
    steps.push_back(without_left_check(input, *alter));
  return steps;
}

}  // namespace tidegate::policies
