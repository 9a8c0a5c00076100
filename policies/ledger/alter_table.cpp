// ALTER TABLE and its like: each subcommand backwards, in one statement.

#include "policies/added_constraint.hpp"
#include "policies/ledger/reversal.hpp"
#include "policies/plan/draft.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace tidegate::policies {
namespace {

using sql::alter_action;
using sql::alter_command;
using sql::constraint_kind;
using sql::quote_identifier;

bool makes_names(const alter_command& command) {
  if (command.action != alter_action::add_column || !command.column) return false;
  return command.column->is_serial() || !command.column->constraints.empty();
}

class alter_reversal {
 public:
  alter_reversal(reversal& of, const sql::alter_table& alter)
      : of_(of), alter_(alter), table_(of.existing(alter.relation)) {}

  std::string write() {
    std::vector<std::string> parts;
    for (const alter_command& command : alter_.commands) {
      std::string part = reverse(command);
      if (!part.empty()) parts.push_back(std::move(part));
    }
    if (parts.empty()) throw not_reversible("it changed nothing");
    if (!lost_.empty()) of_.loses("the values of column " + lost_ + " of " + sql::quote_name(table_));
    std::string text = head();
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      text += (part == parts.rbegin() ? "" : ", ") + *part;
    return text + ";";
  }

 private:
  std::string head() const {
    const std::string_view kind = words(alter_.kind);
    if (kind.empty()) throw not_reversible("there is no inverse for this kind of ALTER");
    return "ALTER " + std::string(kind) + (alter_.only ? " ONLY " : " ") + sql::quote_name(table_) + " ";
  }

  // Empty: it changed nothing, or goes with what another part takes away.
  std::string reverse(const alter_command& command) {
    using enum alter_action;
    switch (command.action) {
      case add_column:
        return reverse_add_column(command);
      case set_not_null:
        return reverse_nullability(command, true);
      case drop_not_null:
        return reverse_nullability(command, false);
      case set_default:
        if (is_added_here(command.name)) return {};
        if (column(command.name).has_default)
          throw not_reversible("the default that column " + command.name + " had is not known");
        return "ALTER COLUMN " + quote_identifier(command.name) + " DROP DEFAULT";
      case drop_default:
        if (is_added_here(command.name) || !column(command.name).has_default) return {};
        throw not_reversible("the default that column " + command.name + " had is not known");
      case add_identity:
        return is_added_here(command.name)
                   ? std::string()
                   : "ALTER COLUMN " + quote_identifier(command.name) + " DROP IDENTITY";
      case add_constraint:
        return reverse_add_constraint(command);
      case enable_row_security:
        return facts().row_security ? "" : "DISABLE ROW LEVEL SECURITY";
      case disable_row_security:
        return facts().row_security ? "ENABLE ROW LEVEL SECURITY" : "";
      case owner_to:
        if (facts().owner.empty()) throw not_reversible("the owner before is not known");
        return "OWNER TO " + quote_identifier(facts().owner);
      case replica_identity:
        return reverse_replica_identity();
      case drop_column:
        throw not_reversible("the values of the dropped column are gone");
      case drop_constraint:
        throw not_reversible("the definition of the dropped constraint is not kept");
      case alter_type:
        throw not_reversible("a changed type may have changed the values");
      case validate_constraint:
        throw not_reversible("a constraint that was validated stays so");
      case enable_trigger:
      case disable_trigger:
        throw not_reversible("the state of the trigger before is not known");
      default:
        throw not_reversible("what was set before is not known");
    }
  }

  std::string reverse_add_column(const alter_command& command) {
    const auto found = of_.catalog().relation(alter_.relation);
    const std::string& name = command.column->name;
    if (command.if_not_exists && (!found || found->new_in_transaction || found->column(name)))
      throw not_reversible("column " + name + " may have been there already");
    if (alter_.kind == sql::object_kind::composite_type) return "DROP ATTRIBUTE " + quote_identifier(name);
    lost_ += (lost_.empty() ? "" : ", ") + quote_identifier(name);
    return "DROP COLUMN " + quote_identifier(name);
  }

  std::string reverse_nullability(const alter_command& command, bool was_set) {
    if (is_added_here(command.name)) return {};
    const column_facts& facts = column(command.name);
    if (facts.not_null == was_set) return {};
    // Children are changed with it, whatever they had before.
    if (!alter_.only && !this->facts().partitions.empty())
      throw not_reversible("whether the columns of its partitions took NULL before is not known");
    if (was_set) return "ALTER COLUMN " + quote_identifier(command.name) + " DROP NOT NULL";
    if (of_.catalog().server_version >= 180000) {
      for (const constraint_facts& c : this->facts().constraints)
        if (c.kind == 'n' && c.columns == std::vector<std::string>{command.name})
          return "ADD CONSTRAINT " + quote_identifier(c.name) + " NOT NULL " +
                 quote_identifier(command.name) + (c.no_inherit ? " NO INHERIT" : "");
      throw not_reversible("the name of the dropped constraint is not known");
    }
    return "ALTER COLUMN " + quote_identifier(command.name) + " SET NOT NULL";
  }

  std::string reverse_add_constraint(const alter_command& command) {
    const sql::constraint_definition& added = *command.constraint;
    if (!added.using_index.empty())
      throw not_reversible("the index that the constraint was made of would go with it");
    if (added.kind == constraint_kind::not_null && added.name.empty())
      throw not_reversible("the name that PostgreSQL chose is not known");
    std::string text = "DROP CONSTRAINT " + quote_identifier(name_of(added));
    if (added.kind != constraint_kind::primary_key) return text;
    std::string nullable;
    for (const std::string& name : added.columns) {
      if (is_added_here(name) || column(name).not_null) continue;
      if (!facts().partitions.empty())
        throw not_reversible("whether the columns of its partitions took NULL before is not known");
      nullable += ", ALTER COLUMN " + quote_identifier(name) + " DROP NOT NULL";
    }
    return text + nullable;
  }

  // As written, or as PostgreSQL chose it.
  std::string name_of(const sql::constraint_definition& added) {
    if (!names_) {
      const auto found = of_.catalog().relation(alter_.relation);
      if (found && of_.knows_taken_names(*found.facts) &&
          std::none_of(alter_.commands.begin(), alter_.commands.end(), makes_names)) {
        subject table = subject_of(of_.input(), alter_.relation);
        names_.emplace(of_.input(), std::move(table), alter_.only);
      }
    }
    if (!added.name.empty()) {
      if (names_) names_->takes(added.name);
      return added.name;
    }
    const bool told = added.kind != constraint_kind::exclusion;
    if (!names_ || !told) throw not_reversible("the name that PostgreSQL chose is not known");
    const bool key = added.kind == constraint_kind::unique || added.kind == constraint_kind::primary_key;
    return key ? names_->new_relation(name_columns(added), name_suffix(added.kind))
               : names_->new_constraint(name_columns(added), name_suffix(added.kind));
  }

  std::string reverse_replica_identity() const {
    switch (facts().replica_identity) {
      case 'd':
        return "REPLICA IDENTITY DEFAULT";
      case 'f':
        return "REPLICA IDENTITY FULL";
      case 'n':
        return "REPLICA IDENTITY NOTHING";
      default:
        throw not_reversible("the index that was the replica identity is not known");
    }
  }

  bool is_added_here(const std::string& name) const {
    return std::any_of(alter_.commands.begin(), alter_.commands.end(), [&](const alter_command& command) {
      return command.action == alter_action::add_column && command.column && command.column->name == name;
    });
  }
  const relation_facts& facts() const { return of_.facts_before(alter_.relation); }
  const column_facts& column(const std::string& name) const {
    const column_facts* found = facts().column(name);
    if (found == nullptr) throw not_reversible("what column " + name + " was like before is not known");
    return *found;
  }

  reversal& of_;
  const sql::alter_table& alter_;
  sql::qualified_name table_;
  std::optional<draft> names_;
  std::string lost_;
};

}  // namespace

std::string reverse_alter_table(reversal& of, const sql::alter_table& alter) {
  if (alter.if_exists && !of.catalog().relation(alter.relation))
    throw not_reversible("the relation may not have been there");
  return alter_reversal(of, alter).write();
}

}  // namespace tidegate::policies
