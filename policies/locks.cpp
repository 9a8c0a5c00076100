#include "policies/locks.hpp"

#include "policies/engine.hpp"
#include "policies/relation_name.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace tidegate::policies {

namespace {

using sql::qualified_name;
using enum lock_level;

// Collects locks, each relation once, the strongest mode first come.
class lock_list {
 public:
  explicit lock_list(const catalog_snapshot& catalog) : catalog_(catalog) {}

  void add(const qualified_name& relation, lock_level level) {
    if (level == none || relation.name.empty()) return;
    const auto it = std::find_if(locks_.begin(), locks_.end(),
                                 [&](const relation_lock& lock) { return lock.relation == relation; });
    if (it == locks_.end())
      locks_.push_back({relation, level});
    else
      it->level = std::max(it->level, level);
  }

  // A relation as facts spell it: "schema.name", quoted where needed.
  void add(std::string_view full_name, lock_level level) {
    if (!full_name.empty()) add(split_full_name(full_name), level);
  }

  // The relation and, when it is partitioned and ONLY was not written, everything under it.
  void add_with_partitions(const qualified_name& relation, lock_level level, bool only) {
    add(relation, level);
    if (only) return;
    std::vector<const relation_facts*> open;
    std::set<const relation_facts*> seen;
    if (const auto facts = catalog_.relation(relation)) open.push_back(facts.facts);
    while (!open.empty()) {
      const relation_facts* parent = open.back();
      open.pop_back();
      if (!seen.insert(parent).second) continue;
      for (const auto& partition : parent->partitions) {
        add(partition, level);
        if (const auto facts = catalog_.relation_by_full_name(partition)) open.push_back(facts.facts);
      }
    }
  }

  lookup<relation_facts> facts(const qualified_name& relation) const { return catalog_.relation(relation); }
  const catalog_snapshot& catalog() const { return catalog_; }
  std::vector<relation_lock> take() { return std::move(locks_); }

 private:
  const catalog_snapshot& catalog_;
  std::vector<relation_lock> locks_;
};

bool mentions(const std::vector<std::string>& columns, const std::string& column) {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

// Foreign keys of `facts` that `concerned` says the statement touches: their other side is locked as well.
template <class Predicate>
void add_partners(lock_list& locks, const relation_facts& facts, lock_level level, Predicate concerned) {
  for (const auto& constraint : facts.constraints)
    if (constraint.kind == 'f' && concerned(constraint)) locks.add(constraint.referenced, level);
}

void add_referencing(lock_list& locks, const relation_facts& facts, lock_level level) {
  for (const auto& reference : facts.referenced_by) locks.add(reference.relation, level);
}

// The relations beside the table that a subcommand locks.
void add_others(lock_list& locks, const sql::alter_table& statement, const sql::alter_command& command) {
  using enum sql::alter_action;
  const auto table = locks.facts(statement.relation);
  switch (command.action) {
    case add_column:
      if (!command.column) break;
      for (const auto& constraint : command.column->constraints)
        if (constraint.referenced) locks.add(*constraint.referenced, share_row_exclusive);
      break;
    case add_constraint:
      if (command.constraint && command.constraint->referenced)
        locks.add(*command.constraint->referenced, share_row_exclusive);
      break;
    case validate_constraint:
      if (table)
        add_partners(locks, *table.facts, row_share,
                     [&](const constraint_facts& c) { return c.name == command.name; });
      break;
    case drop_constraint:
      if (!table) break;
      add_partners(locks, *table.facts, access_exclusive,
                   [&](const constraint_facts& c) { return c.name == command.name; });
      if (command.cascade) add_referencing(locks, *table.facts, access_exclusive);
      break;
    case alter_constraint:
      if (table)
        add_partners(locks, *table.facts, access_exclusive,
                     [&](const constraint_facts& c) { return c.name == command.name; });
      break;
    case drop_column:
      if (!table) break;
      add_partners(locks, *table.facts, access_exclusive,
                   [&](const constraint_facts& c) { return mentions(c.columns, command.name); });
      if (command.cascade) add_referencing(locks, *table.facts, access_exclusive);
      break;
    case alter_type:
      if (!table) break;
      add_partners(locks, *table.facts, access_exclusive,
                   [&](const constraint_facts& c) { return mentions(c.columns, command.name); });
      if (std::any_of(table->constraints.begin(), table->constraints.end(), [&](const constraint_facts& c) {
            return (c.kind == 'p' || c.kind == 'u') && mentions(c.columns, command.name);
          }))
        add_referencing(locks, *table.facts, access_exclusive);
      break;
    case attach_partition:
      if (!command.partition) break;
      locks.add(*command.partition, access_exclusive);
      if (table) locks.add(table->default_partition, access_exclusive);
      break;
    case detach_partition:
      if (!command.partition) break;
      locks.add(*command.partition, command.concurrently ? share_update_exclusive : access_exclusive);
      if (table && !command.concurrently) locks.add(table->default_partition, access_exclusive);
      break;
    case detach_partition_finalize:
      if (command.partition) locks.add(*command.partition, access_exclusive);
      break;
    case inherit:
      if (command.partition) locks.add(*command.partition, share_update_exclusive);
      break;
    default:
      break;
  }
}

void of(const sql::alter_table& statement, lock_list& locks) {
  lock_level level = lock_of(statement);
  // the options of a view are part of what it means
  if (statement.kind == sql::object_kind::view) level = lock_level::access_exclusive;
  locks.add_with_partitions(statement.relation, level,
                            statement.only || !std::any_of(statement.commands.begin(),
                                                           statement.commands.end(), reaches_partitions));
  for (const auto& command : statement.commands) add_others(locks, statement, command);
}

void of(const sql::create_index& statement, lock_list& locks) {
  locks.add_with_partitions(statement.relation, statement.concurrently ? share_update_exclusive : share,
                            statement.only);
}

void of(const sql::create_table& statement, lock_list& locks) {
  if (statement.partition_of) {
    locks.add(*statement.partition_of, access_exclusive);
    if (const auto parent = locks.facts(*statement.partition_of))
      locks.add(parent->default_partition, access_exclusive);
  }
  for (const auto& parent : statement.inherits) locks.add(parent, share_update_exclusive);
  const auto reference = [&](const sql::constraint_definition& constraint) {
    if (constraint.referenced && !(*constraint.referenced == statement.relation))
      locks.add(*constraint.referenced, share_row_exclusive);
  };
  for (const auto& constraint : statement.constraints) reference(constraint);
  for (const auto& column : statement.columns)
    for (const auto& constraint : column.constraints) reference(constraint);
}

void of(const sql::create_view& statement, lock_list& locks) {
  if (statement.replace) locks.add(statement.relation, access_exclusive);
}

bool is_relation(sql::object_kind kind) {
  using enum sql::object_kind;
  return kind == table || kind == view || kind == materialized_view || kind == index || kind == sequence ||
         kind == foreign_table;
}

void of(const sql::drop& statement, lock_list& locks) {
  using enum sql::object_kind;
  if (statement.kind == trigger || statement.kind == rule || statement.kind == policy) {
    for (const auto& relation : statement.objects) locks.add(relation, access_exclusive);
    return;
  }
  if (!is_relation(statement.kind)) return;
  const lock_level level = statement.concurrently ? share_update_exclusive : access_exclusive;
  for (const auto& object : statement.objects) {
    locks.add_with_partitions(object, level, false);
    const auto facts = locks.facts(object);
    if (!facts) continue;
    locks.add(facts->index_table, level);
    if (statement.kind == index) continue;
    locks.add(facts->parent, access_exclusive);
    add_partners(locks, *facts.facts, access_exclusive, [](const constraint_facts&) { return true; });
    if (!statement.cascade) continue;
    add_referencing(locks, *facts.facts, access_exclusive);
    for (const auto& view : facts->dependent_views) locks.add(view, access_exclusive);
  }
}

void of(const sql::rename& statement, lock_list& locks) {
  using enum sql::object_kind;
  if (statement.relation.name.empty()) return;
  const bool of_relation = statement.kind == column || statement.kind == constraint ||
                           statement.kind == trigger || statement.kind == rule || statement.kind == policy;
  if (!of_relation && !is_relation(statement.kind)) return;
  bool names_index = statement.kind == index;
  // ALTER INDEX t RENAME renames a table just as well
  if (const auto facts = locks.facts(statement.relation); facts && names_index)
    names_index = facts->kind == 'i' || facts->kind == 'I';
  locks.add_with_partitions(statement.relation, names_index ? share_update_exclusive : access_exclusive,
                            statement.kind != column);
}

void of(const sql::set_schema& statement, lock_list& locks) {
  if (is_relation(statement.kind)) locks.add(statement.object, access_exclusive);
}

void of(const sql::reindex& statement, lock_list& locks) {
  if (statement.target != sql::reindex_target::index && statement.target != sql::reindex_target::table)
    return;
  const lock_level on_table = statement.concurrently ? share_update_exclusive : share;
  const lock_level on_index = statement.concurrently ? share_update_exclusive : access_exclusive;
  const auto facts = locks.facts(statement.relation);
  if (statement.target == sql::reindex_target::index) {
    locks.add(statement.relation, on_index);
    if (facts) locks.add(facts->index_table, on_table);
    return;
  }
  locks.add_with_partitions(statement.relation, on_table, false);
  if (!facts) return;
  for (const auto& index : facts->indexes)
    locks.add(qualified_name{.database = {}, .schema = index.schema, .name = index.name}, on_index);
}

void of(const sql::cluster& statement, lock_list& locks) {
  if (statement.relation) locks.add_with_partitions(*statement.relation, access_exclusive, false);
}

void of(const sql::vacuum& statement, lock_list& locks) {
  for (const auto& relation : statement.relations)
    locks.add_with_partitions(relation, statement.full ? access_exclusive : share_update_exclusive, false);
}

void of(const sql::truncate& statement, lock_list& locks) {
  for (const auto& relation : statement.relations)
    locks.add_with_partitions(relation, access_exclusive, false);
  if (!statement.cascade) return;
  // follows foreign keys as far as the facts reach
  std::vector<const relation_facts*> open;
  std::set<const relation_facts*> seen;
  for (const auto& relation : statement.relations)
    if (const auto facts = locks.facts(relation)) open.push_back(facts.facts);
  while (!open.empty()) {
    const relation_facts* next = open.back();
    open.pop_back();
    if (!seen.insert(next).second) continue;
    add_referencing(locks, *next, access_exclusive);
    for (const auto& reference : next->referenced_by)
      if (const auto facts = locks.catalog().relation_by_full_name(reference.relation))
        open.push_back(facts.facts);
  }
}

void of(const sql::lock_table& statement, lock_list& locks) {
  for (const auto& relation : statement.relations)
    locks.add_with_partitions(relation, static_cast<lock_level>(std::clamp(statement.mode, 0, 8)), false);
}

void of(const sql::refresh_materialized_view& statement, lock_list& locks) {
  locks.add(statement.relation, statement.concurrently ? exclusive : access_exclusive);
}

void of(const sql::alter_domain& statement, lock_list& locks) {
  using enum sql::alter_domain_action;
  const bool scans =
      (statement.action == add_constraint && !(statement.constraint && statement.constraint->not_valid)) ||
      statement.action == validate_constraint || statement.action == set_not_null;
  if (!scans) return;
  sql::type_name domain;
  domain.schema = statement.domain.schema;
  domain.name = statement.domain.name;
  if (const auto facts = locks.catalog().type(domain))
    for (const auto& table : facts->used_by) locks.add(table, share);
}

void of(const sql::on_relation& statement, lock_list& locks) {
  using enum sql::object_kind;
  if (statement.verb == sql::on_relation_verb::comment || statement.kind == statistics)
    locks.add(statement.relation, share_update_exclusive);
  else if (statement.kind == trigger && statement.verb == sql::on_relation_verb::create)
    locks.add(statement.relation, share_row_exclusive);
  else
    locks.add(statement.relation, access_exclusive);
}

void of(const sql::other_statement& statement, lock_list& locks) {
  if (statement.node != "AlterSeqStmt") return;
  for (const auto& sequence : statement.relations) locks.add(sequence, share_row_exclusive);
}

void of(const sql::publication_change& statement, lock_list& locks) {
  for (const auto& relation : statement.relations) locks.add(relation, share_update_exclusive);
}

template <class Other>
void of(const Other&, lock_list&) {}  // takes no table lock that DDL is guarded for

}  // namespace

lock_level lock_of(const sql::alter_command& command) {
  using enum sql::alter_action;
  switch (command.action) {
    case set_statistics:
    case set_column_options:
    case set_options:
    case reset_options:
    case validate_constraint:
    case cluster_on:
    case set_without_cluster:
    case attach_partition:
    case detach_partition_finalize:
      return share_update_exclusive;
    case detach_partition:
      return command.concurrently ? share_update_exclusive : access_exclusive;
    case enable_trigger:
    case disable_trigger:
      return share_row_exclusive;
    case add_constraint:
      return command.constraint && command.constraint->kind == sql::constraint_kind::foreign_key
                 ? share_row_exclusive
                 : access_exclusive;
    default:
      return access_exclusive;
  }
}

bool reaches_partitions(const sql::alter_command& command) {
  using enum sql::alter_action;
  switch (command.action) {
    case set_column_options:
    case set_compression:
    case set_logged:
    case set_unlogged:
    case set_access_method:
    case set_tablespace:
    case set_options:
    case reset_options:
    case enable_rule:
    case disable_rule:
    case inherit:
    case no_inherit:
    case of_type:
    case not_of:
    case owner_to:
    case replica_identity:
    case enable_row_security:
    case disable_row_security:
    case force_row_security:
    case no_force_row_security:
    case attach_partition:
    case detach_partition:
    case detach_partition_finalize:
      return false;
    default:
      return true;
  }
}

lock_level lock_of(const sql::alter_table& statement) {
  lock_level strongest = none;
  for (const auto& command : statement.commands) strongest = std::max(strongest, lock_of(command));
  return strongest;
}

std::vector<relation_lock> own_locks(const sql::statement& statement, const catalog_snapshot& catalog) {
  lock_list locks(catalog);
  std::visit([&](const auto& node) { of(node, locks); }, statement.node);
  return locks.take();
}

std::vector<relation_lock> locks_taken(const sql::statement& statement, const catalog_snapshot& catalog) {
  std::vector<relation_lock> all;
  for (const statement_part& part : parts_of(statement)) {
    if (!part.runs) continue;
    for (auto& lock : own_locks(*part.statement, catalog)) {
      lock.relation = qualify(std::move(lock.relation), part.schema);
      const auto it = std::find_if(all.begin(), all.end(),
                                   [&](const relation_lock& l) { return l.relation == lock.relation; });
      if (it == all.end())
        all.push_back(std::move(lock));
      else
        it->level = std::max(it->level, lock.level);
    }
  }
  return all;
}

bool locks_unnamed(const sql::statement& statement) {
  if (const auto* vacuum = statement.as<sql::vacuum>()) return vacuum->full && vacuum->relations.empty();
  if (const auto* cluster = statement.as<sql::cluster>()) return !cluster->relation;
  if (const auto* reindex = statement.as<sql::reindex>())
    return !reindex->concurrently && reindex->target != sql::reindex_target::index &&
           reindex->target != sql::reindex_target::table;
  if (const auto* drop = statement.as<sql::drop>()) return drop->kind == sql::object_kind::schema;
  return statement.tag == "DROP OWNED" || statement.tag == "REASSIGN OWNED";
}

}  // namespace tidegate::policies
