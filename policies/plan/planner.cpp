#include "policies/plan/planner.hpp"

#include "policies/plan/alter_table.hpp"
#include "policies/plan/draft.hpp"
#include "policies/plan/index.hpp"
#include "policies/plan/partition.hpp"

#include <utility>

namespace tidegate::policies {

namespace {

const relation_facts& known(const rule_input& input, const sql::qualified_name& relation) {
  const auto found = input.catalog.relation(relation);
  if (!found) throw not_planned("the facts of " + subject_of(input, relation).sql + " are not known");
  if (found->kind == 'r' || found->kind == 'p' || found->kind == 'm') return *found.facts;
  throw not_planned(subject_of(input, relation).sql + " is no table");
}

plan for_statement(const rule_input& input, const decision& decision) {
  plan out;
  out.tag = input.statement.tag;
  const auto about = [&](const sql::qualified_name& relation) {
    const relation_facts& facts = known(input, relation);
    out.relation = facts.full_name();
    out.relation_oid = facts.oid;
  };
  if (const auto* alter = input.statement.as<sql::alter_table>();
      alter && alter->kind == sql::object_kind::table && !alter->commands.empty()) {
    about(alter->relation);
    const auto action = alter->commands.front().action;
    const bool of_partition =
        action == sql::alter_action::attach_partition || action == sql::alter_action::detach_partition;
    out.steps = of_partition ? plan_partition(input, decision) : plan_alter_table(input, *alter, decision);
  } else if (const auto* part = input.statement.as<sql::create_table>(); part && part->partition_of) {
    about(*part->partition_of);
    out.steps = plan_partition(input, decision);
  } else if (const auto* create = input.statement.as<sql::create_index>()) {
    about(create->relation);
    const bool partitioned = known(input, create->relation).kind == 'p';
    out.steps = partitioned ? plan_partitioned_index(input, *create)
                            : plan_concurrent_index(input, create->after_index);
  } else if (const auto* gone = input.statement.as<sql::drop>();
             gone && gone->kind == sql::object_kind::index && gone->objects.size() == 1) {
    out.steps = plan_concurrent_index(input, gone->after_kind);
  } else if (const auto* again = input.statement.as<sql::reindex>()) {
    out.steps = plan_concurrent_index(input, again->after_target);
  } else if (const auto* refresh = input.statement.as<sql::refresh_materialized_view>()) {
    about(refresh->relation);
    out.steps = plan_refresh(input, *refresh);
  } else {
    throw not_planned("this kind of statement has no plan");
  }
  if (out.steps.empty()) throw not_planned("nothing is left to do");
  return out;
}

}  // namespace

planned make_plan(const rule_input& input, const decision& decision) {
  try {
    return {for_statement(input, decision), {}};
  } catch (const not_planned& reason) {
    return {std::nullopt, reason.what()};
  }
}

}  // namespace tidegate::policies
