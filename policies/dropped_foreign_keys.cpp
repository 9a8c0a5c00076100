#include "policies/dropped_foreign_keys.hpp"

#include "policies/subject.hpp"

#include <algorithm>

namespace tidegate::policies {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool nobody_else_uses(const relation_facts& table) {
  return table.new_in_transaction || table.fresh || table.persistence == 't';
}

class collector {
 public:
  explicit collector(const rule_input& input) : input_(input) {}

  std::vector<dropped_foreign_key> of(const sql::drop& drop) {
    std::vector<std::pair<const relation_facts*, std::string>> tables;
    for (const auto& name : drop.objects) {
      const subject table = subject_of(input_, name);
      if (!table.facts) {
        if (drop.if_exists && table.certainly_missing) continue;
        return {};
      }
      if (is_its_own(input_, table)) continue;
      tables.emplace_back(table.facts, table.sql);
    }
    for (std::size_t i = 0; i < tables.size(); ++i) {
      gone_.push_back(tables[i].first->full_name());
      for (const auto& partition : tables[i].first->partitions) {
        const auto facts = input_.catalog.relation_by_full_name(partition);
        if (!facts) return {};
        if (!contains(gone_, partition)) tables.emplace_back(facts.facts, partition);
      }
    }
    for (const auto& [table, sql] : tables) {
      if (!drop.cascade && is_needed(*table)) return {};
      for (const auto& constraint : table->constraints) add_own(*table, sql, constraint);
    }
    if (drop.cascade)
      for (const auto& [table, sql] : tables)
        for (const auto& reference : table->referenced_by) add_other(reference);
    return std::move(keys_);
  }

  std::vector<dropped_foreign_key> of(const sql::alter_table& alter) {
    const subject table = subject_of(input_, alter.relation);
    if (!table.facts || is_its_own(input_, table)) return {};
    if (alter.only && !table.facts->partitions.empty()) return {};
    gone_ = {table.facts->full_name()};
    for (const auto& command : alter.commands) {
      const bool of_column = command.action == sql::alter_action::drop_column;
      if (!of_column && command.action != sql::alter_action::drop_constraint) continue;
      if (of_column && !command.cascade)
        if (const auto* column = table.facts->column(command.name); column && !column->dependents.empty())
          return {};
      for (const auto& constraint : table.facts->constraints) {
        const bool goes =
            of_column ? contains(constraint.columns, command.name) : constraint.name == command.name;
        if (!goes) continue;
        add_own(*table.facts, table.sql, constraint);
        if (constraint.kind != 'p' && constraint.kind != 'u') continue;
        for (const auto& reference : table.facts->referenced_by) {
          if (contains(gone_, reference.relation) || !rests_on(reference, constraint)) continue;
          if (!command.cascade) return {};
          add_other(reference);
        }
      }
    }
    return std::move(keys_);
  }

 private:
  // DROP … RESTRICT fails, and says because of what.
  bool is_needed(const relation_facts& table) const {
    return !table.dependent_views.empty() ||
           std::any_of(table.referenced_by.begin(), table.referenced_by.end(),
                       [&](const referencing_facts& from) { return !contains(gone_, from.relation); });
  }

  const constraint_facts* key_of(const referencing_facts& reference) const {
    const auto table = input_.catalog.relation_by_full_name(reference.relation);
    return table ? table->constraint(reference.constraint) : nullptr;
  }

  // Unknown ones, and those that a partition has from its parent, are none of these.
  bool rests_on(const referencing_facts& reference, const constraint_facts& key) const {
    const constraint_facts* foreign = key_of(reference);
    return foreign && foreign->index == key.index;
  }

  void add_own(const relation_facts& table, const std::string& sql, const constraint_facts& key) {
    if (key.kind == 'f' && !contains(gone_, key.referenced)) add({&table, &key, sql, key.referenced});
  }

  void add_other(const referencing_facts& reference) {
    if (contains(gone_, reference.relation)) return;
    const constraint_facts* key = key_of(reference);
    if (!key) return;
    const auto table = input_.catalog.relation_by_full_name(reference.relation);
    add({table.facts, key, reference.relation, reference.relation});
  }

  void add(dropped_foreign_key key) {
    if (key.key->inherited) return;
    const auto locked = input_.catalog.relation_by_full_name(key.locked);
    if (locked && nobody_else_uses(*locked.facts)) return;
    const bool known = std::any_of(keys_.begin(), keys_.end(), [&](const dropped_foreign_key& other) {
      return other.key->name == key.key->name && other.table->full_name() == key.table->full_name();
    });
    if (!known) keys_.push_back(std::move(key));
  }

  const rule_input& input_;
  std::vector<std::string> gone_;  // the tables that the statement is about, with their partitions
  std::vector<dropped_foreign_key> keys_;
};

}  // namespace

std::vector<dropped_foreign_key> dropped_foreign_keys(const rule_input& input) {
  collector found(input);
  if (const auto* drop = input.statement.as<sql::drop>(); drop && drop->kind == sql::object_kind::table)
    return found.of(*drop);
  if (const auto* alter = input.statement.as<sql::alter_table>();
      alter && alter->kind == sql::object_kind::table)
    return found.of(*alter);
  return {};
}

std::vector<std::string> locked_by(const std::vector<dropped_foreign_key>& keys) {
  std::vector<std::string> tables;
  for (const auto& key : keys)
    if (!contains(tables, key.locked)) tables.push_back(key.locked);
  return tables;
}

}  // namespace tidegate::policies
