#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

struct kind_of_action {
  std::string_view parser_name;
  alter_action action;
  bool all = false;
  bool user_only = false;
};

constexpr kind_of_action actions[] = {
    {"AT_AddColumn", alter_action::add_column},
    {"AT_DropColumn", alter_action::drop_column},
    {"AT_AlterColumnType", alter_action::alter_type},
    {"AT_ColumnDefault", alter_action::set_default},
    {"AT_SetNotNull", alter_action::set_not_null},
    {"AT_DropNotNull", alter_action::drop_not_null},
    {"AT_DropExpression", alter_action::drop_expression},
    {"AT_SetStatistics", alter_action::set_statistics},
    {"AT_SetOptions", alter_action::set_column_options},
    {"AT_ResetOptions", alter_action::set_column_options},
    {"AT_SetStorage", alter_action::set_storage},
    {"AT_SetCompression", alter_action::set_compression},
    {"AT_AddIdentity", alter_action::add_identity},
    {"AT_SetIdentity", alter_action::change_identity},
    {"AT_DropIdentity", alter_action::drop_identity},
    {"AT_AddConstraint", alter_action::add_constraint},
    {"AT_DropConstraint", alter_action::drop_constraint},
    {"AT_AlterConstraint", alter_action::alter_constraint},
    {"AT_ValidateConstraint", alter_action::validate_constraint},
    {"AT_ClusterOn", alter_action::cluster_on},
    {"AT_DropCluster", alter_action::set_without_cluster},
    {"AT_SetLogged", alter_action::set_logged},
    {"AT_SetUnLogged", alter_action::set_unlogged},
    {"AT_SetAccessMethod", alter_action::set_access_method},
    {"AT_SetTableSpace", alter_action::set_tablespace},
    {"AT_SetRelOptions", alter_action::set_options},
    {"AT_ResetRelOptions", alter_action::reset_options},
    {"AT_EnableTrig", alter_action::enable_trigger},
    {"AT_EnableAlwaysTrig", alter_action::enable_trigger},
    {"AT_EnableReplicaTrig", alter_action::enable_trigger},
    {"AT_EnableTrigAll", alter_action::enable_trigger, true},
    {"AT_EnableTrigUser", alter_action::enable_trigger, true, true},
    {"AT_DisableTrig", alter_action::disable_trigger},
    {"AT_DisableTrigAll", alter_action::disable_trigger, true},
    {"AT_DisableTrigUser", alter_action::disable_trigger, true, true},
    {"AT_EnableRule", alter_action::enable_rule},
    {"AT_EnableAlwaysRule", alter_action::enable_rule},
    {"AT_EnableReplicaRule", alter_action::enable_rule},
    {"AT_DisableRule", alter_action::disable_rule},
    {"AT_AddInherit", alter_action::inherit},
    {"AT_DropInherit", alter_action::no_inherit},
    {"AT_AddOf", alter_action::of_type},
    {"AT_DropOf", alter_action::not_of},
    {"AT_ChangeOwner", alter_action::owner_to},
    {"AT_ReplicaIdentity", alter_action::replica_identity},
    {"AT_EnableRowSecurity", alter_action::enable_row_security},
    {"AT_DisableRowSecurity", alter_action::disable_row_security},
    {"AT_ForceRowSecurity", alter_action::force_row_security},
    {"AT_NoForceRowSecurity", alter_action::no_force_row_security},
    {"AT_AttachPartition", alter_action::attach_partition},
    {"AT_DetachPartition", alter_action::detach_partition},
    {"AT_DetachPartitionFinalize", alter_action::detach_partition_finalize},
};

// Behind ALTER TABLE [IF EXISTS] [ONLY] name [*]: where the first command begins.
std::size_t first_command(const token_list& tokens) {
  std::size_t i = 1;
  while (tokens.is_any_word(i, {"table", "index", "view", "materialized", "sequence", "foreign", "type"}))
    ++i;
  if (tokens.is_word(i, "if") && tokens.is_word(i + 1, "exists")) i += 2;
  if (tokens.is_word(i, "only")) ++i;
  if (tokens.is_char(i, '(')) return tokens.closing(i) + 1;  // ONLY (t)
  i = tokens.behind_name(i);
  if (i < tokens.size() && tokens.spelling(i) == "*") ++i;
  return i;
}

// What follows a keyword in a command: the tokens of its expression.
std::size_t behind_word(const conversion& c, std::string_view lower, std::size_t from, std::size_t end) {
  const std::size_t found = c.tokens.find_word(lower, from, end);
  return found == end ? end : found + 1;
}

void read_definition(const conversion& c, tree_node definition, std::size_t from, std::size_t end,
                     alter_command& command) {
  switch (command.action) {
    case alter_action::add_column:
      command.column = read_column(c, definition.as("ColumnDef"));
      command.name = command.column->name;
      break;
    case alter_action::alter_type: {
      const tree_node column = definition.as("ColumnDef");
      command.column = read_column(c, column);
      command.column->name = command.name;
      if (const tree_node value = column["raw_default"])
        command.value = read_expression(c, value, behind_word(c, "using", from, end), end);
      break;
    }
    case alter_action::set_default:
      if (c.adapted(adaptation_kind::set_expression, c.tokens.range(from, end))) {
        command.action = alter_action::set_expression;
        command.value = read_expression(c, definition, behind_word(c, "as", from, end), end);
      } else if (definition) {
        command.value = read_expression(c, definition, behind_word(c, "default", from, end), end);
      } else {
        command.action = alter_action::drop_default;
      }
      break;
    case alter_action::add_constraint:
    case alter_action::alter_constraint:
    case alter_action::add_identity:
      command.constraint = read_constraint(c, definition.as("Constraint"), end);
      if (command.constraint->range.end <= command.constraint->range.begin)
        command.constraint->range = command.range;
      command.constraint->not_enforced = c.adapted(adaptation_kind::not_enforced, c.tokens.range(from, end));
      if (command.action != alter_action::add_identity) command.name = command.constraint->name;
      break;
    case alter_action::attach_partition:
    case alter_action::detach_partition:
    case alter_action::detach_partition_finalize: {
      const tree_node partition = definition.as("PartitionCmd");
      command.partition = read_relation(c, partition["name"]);
      command.name = command.partition->name;
      command.concurrently = partition["concurrent"].boolean();
      if (const tree_node bound = partition["bound"]) {
        const std::string_view first = bound["is_default"].boolean() ? "default" : "for";
        std::size_t behind = end;
        command.bound = read_partition_bound(c, bound, c.tokens.find_word(first, from, end), behind);
      }
      break;
    }
    case alter_action::inherit:
    case alter_action::no_inherit:
      command.partition = read_relation(c, definition.as("RangeVar"));
      command.name = command.partition->name;
      break;
    case alter_action::replica_identity: {
      const tree_node identity = definition.as("ReplicaIdentityStmt");
      command.name = identity["name"].string();
      if (const std::string kind = identity["identity_type"].string(); !kind.empty())
        command.replica_identity = kind.front();
      break;
    }
    case alter_action::set_options:
    case alter_action::reset_options:
    case alter_action::set_column_options:
      command.options = read_options(definition.as("List")["items"]);
      break;
    default:
      break;
  }
}

alter_command read_command(const conversion& c, tree_node node, std::size_t from, std::size_t end) {
  alter_command command;
  const std::string parser_name = node["subtype"].string();
  for (const auto& known : actions) {
    if (known.parser_name != parser_name) continue;
    command.action = known.action;
    command.all = known.all;
    command.user_only = known.user_only;
  }
  command.range = c.shown(c.tokens.range(from, end));
  command.name = node["name"].string();
  command.cascade = node["behavior"].string() == "DROP_CASCADE";
  const bool missing_ok = node["missing_ok"].boolean();
  (command.action == alter_action::add_column ? command.if_not_exists : command.if_exists) = missing_ok;
  if (command.action == alter_action::owner_to) command.name = read_role(node["newowner"]);
  read_definition(c, node["def"], from, end, command);
  return command;
}

void convert_table(const conversion& c, tree_node node, statement& out) {
  alter_table alter;
  alter.kind = object_kind_of(node["objtype"].string());
  if (alter.kind == object_kind::type) alter.kind = object_kind::composite_type;
  alter.relation = read_relation(c, node["relation"]);
  alter.only = !node["relation"]["inh"].boolean();
  alter.if_exists = node["missing_ok"].boolean();
  std::size_t from = first_command(c.tokens);
  for (const tree_node item : node["cmds"]) {
    const std::size_t end = c.tokens.element_end(from);
    alter.commands.push_back(read_command(c, item.as("AlterTableCmd"), from, end));
    from = end + 1;
  }
  switch (alter.kind) {
    case object_kind::index:
      out.tag = "ALTER INDEX";
      break;
    case object_kind::view:
      out.tag = "ALTER VIEW";
      break;
    case object_kind::materialized_view:
      out.tag = "ALTER MATERIALIZED VIEW";
      break;
    case object_kind::sequence:
      out.tag = "ALTER SEQUENCE";
      break;
    case object_kind::foreign_table:
      out.tag = "ALTER FOREIGN TABLE";
      break;
    case object_kind::composite_type:
      out.tag = "ALTER TYPE";
      break;
    default:
      out.tag = "ALTER TABLE";
  }
  out.node = std::move(alter);
}

void convert_domain(const conversion& c, tree_node node, statement& out) {
  alter_domain alter;
  alter.domain = name_from_parts(read_strings(node["typeName"]));
  alter.name = node["name"].string();
  alter.if_exists = node["missing_ok"].boolean();
  alter.cascade = node["behavior"].string() == "DROP_CASCADE";
  const std::string kind = node["subtype"].string();
  const tree_node definition = node["def"];
  if (kind == "N") {
    alter.action = alter_domain_action::drop_not_null;
  } else if (kind == "O") {
    alter.action = alter_domain_action::set_not_null;
  } else if (kind == "C") {
    alter.action = alter_domain_action::add_constraint;
    alter.constraint = read_constraint(c, definition.as("Constraint"), c.tokens.size());
    alter.name = alter.constraint->name;
  } else if (kind == "X") {
    alter.action = alter_domain_action::drop_constraint;
  } else if (kind == "V") {
    alter.action = alter_domain_action::validate_constraint;
  } else {
    alter.action = definition ? alter_domain_action::set_default : alter_domain_action::drop_default;
  }
  out.tag = "ALTER DOMAIN";
  out.node = std::move(alter);
}

void convert_enum(tree_node node, statement& out) {
  alter_enum alter;
  alter.type = name_from_parts(read_strings(node["typeName"]));
  alter.value = node["newVal"].string();
  alter.old_value = node["oldVal"].string();
  alter.rename = static_cast<bool>(node["oldVal"]);
  alter.if_not_exists = node["skipIfNewValExists"].boolean();
  alter.has_position = static_cast<bool>(node["newValNeighbor"]);
  out.tag = "ALTER TYPE";
  out.node = std::move(alter);
}

void convert_move_all(tree_node node, statement& out) {
  move_all_in_tablespace move;
  move.kind = object_kind_of(node["objtype"].string());
  move.from = node["orig_tablespacename"].string();
  move.to = node["new_tablespacename"].string();
  out.tag = move.kind == object_kind::index               ? "ALTER INDEX"
            : move.kind == object_kind::materialized_view ? "ALTER MATERIALIZED VIEW"
                                                          : "ALTER TABLE";
  out.node = std::move(move);
}

}  // namespace

bool convert_alter_table(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "AlterTableStmt") {
    convert_table(c, inside, out);
  } else if (type == "AlterDomainStmt") {
    convert_domain(c, inside, out);
  } else if (type == "AlterEnumStmt") {
    convert_enum(inside, out);
  } else if (type == "AlterTableMoveAllStmt") {
    convert_move_all(inside, out);
  } else {
    return false;
  }
  out.ddl = true;
  return true;
}

}  // namespace tidegate::sql
