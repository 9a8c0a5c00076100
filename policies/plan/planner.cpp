#include "policies/plan/planner.hpp"

#include "policies/plan/alter_table.hpp"
#include "policies/plan/draft.hpp"
#include "policies/plan/drop.hpp"
#include "policies/plan/index.hpp"
#include "policies/plan/partition.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

namespace {

const relation_facts& known(const rule_input& input, const sql::qualified_name& relation) {
  const auto found = input.catalog.relation(relation);
  if (!found) throw not_planned("the facts of " + subject_of(input, relation).sql + " are not known");
  if (found->kind == 'r' || found->kind == 'p' || found->kind == 'm') return *found.facts;
  throw not_planned(subject_of(input, relation).sql + " is no table");
}

// What the steps of what is dropped name: the tables that go, and both ends of their foreign keys.
std::vector<other_relation> others_of(const rule_input& input) {
  std::vector<other_relation> others;
  const auto add = [&](const relation_facts* table, bool changed) {
    if (!table) return;
    const auto same = std::find_if(others.begin(), others.end(),
                                   [&](const other_relation& other) { return other.oid == table->oid; });
    if (same == others.end())
      others.push_back({table->full_name(), table->oid, changed});
    else
      same->changed = same->changed || changed;
  };
  if (const auto* drop = input.statement.as<sql::drop>())
    for (const auto& name : drop->objects) add(input.catalog.relation(name).facts, true);
  for (const auto& dropped : dropped_foreign_keys(input)) {
    add(dropped.table, true);
    add(input.catalog.relation_by_full_name(dropped.key->referenced).facts, false);
  }
  return others;
}

plan for_statement(const rule_input& input, const decision& decision) {
  plan out;
  out.tag = input.statement.tag;
  const auto about = [&](const sql::qualified_name& relation) {
    const relation_facts& facts = known(input, relation);
    out.relation = facts.full_name();
    out.relation_oid = facts.oid;
  };
  const auto* gone = input.statement.as<sql::drop>();
  if (const auto* alter = input.statement.as<sql::alter_table>();
      alter && alter->kind == sql::object_kind::table && !alter->commands.empty()) {
    about(alter->relation);
    const auto action = alter->commands.front().action;
    const bool of_partition =
        action == sql::alter_action::attach_partition || action == sql::alter_action::detach_partition;
    out.steps = of_partition ? plan_partition(input, decision) : plan_alter_table(input, *alter, decision);
    out.others = others_of(input);
  } else if (const auto* part = input.statement.as<sql::create_table>(); part && part->partition_of) {
    about(*part->partition_of);
    out.steps = plan_partition(input, decision);
  } else if (const auto* create = input.statement.as<sql::create_index>()) {
    about(create->relation);
    const bool partitioned = known(input, create->relation).kind == 'p';
    out.steps = partitioned ? plan_partitioned_index(input, *create)
                            : plan_concurrent_index(input, create->after_index);
  } else if (gone && gone->kind == sql::object_kind::index && gone->objects.size() == 1) {
    out.steps = plan_concurrent_index(input, gone->after_kind);
  } else if (gone && gone->kind == sql::object_kind::table) {
    for (const auto& name : gone->objects)
      if (out.relation.empty() && input.catalog.relation(name)) about(name);
    out.steps = plan_drop_table(input, *gone, decision);
    out.others = others_of(input);
  } else if (const auto* again = input.statement.as<sql::reindex>()) {
    out.steps = plan_concurrent_index(input, again->after_target);
  } else if (const auto* refresh = input.statement.as<sql::refresh_materialized_view>()) {
    about(refresh->relation);
    out.steps = plan_refresh(input, *refresh);
  } else if (input.statement.as<sql::alter_domain>()) {
    throw not_planned("a domain's constraint is validated under a lock that blocks writes, in every version");
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
