#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return text;
}

std::string joined_values(tree_node arguments) {
  std::string joined;
  for (const tree_node argument : arguments) {
    if (!joined.empty()) joined += ", ";
    if (const tree_node mode = argument.as("DefElem")) {  // SET TRANSACTION ISOLATION LEVEL …
      joined += mode["defname"].string() + "=" + constant_value(mode["arg"]).value_or("");
    } else {
      joined += constant_value(argument).value_or("");
    }
  }
  return joined;
}

variable_set read_setting(tree_node node) {
  variable_set setting;
  const std::string kind = node["kind"].string();
  setting.form = kind == "VAR_SET_DEFAULT"   ? set_form::set_default
                 : kind == "VAR_SET_CURRENT" ? set_form::from_current
                 : kind == "VAR_SET_MULTI"   ? set_form::multi
                 : kind == "VAR_RESET"       ? set_form::reset
                 : kind == "VAR_RESET_ALL"   ? set_form::reset_all
                                             : set_form::set;
  setting.name = node["name"].string();
  if (setting.form != set_form::multi) setting.name = lower(std::move(setting.name));
  setting.value = joined_values(node["args"]);
  setting.local = node["is_local"].boolean();
  return setting;
}

std::string_view setting_tag(const variable_set& setting) {
  return setting.form == set_form::reset || setting.form == set_form::reset_all ? "RESET" : "SET";
}

struct kind_of_transaction {
  std::string_view parser_name;
  transaction_action action;
  std::string_view tag;
};

constexpr kind_of_transaction transactions[] = {
    {"TRANS_STMT_BEGIN", transaction_action::begin, "BEGIN"},
    {"TRANS_STMT_START", transaction_action::begin, "START TRANSACTION"},
    {"TRANS_STMT_COMMIT", transaction_action::commit, "COMMIT"},
    {"TRANS_STMT_ROLLBACK", transaction_action::rollback, "ROLLBACK"},
    {"TRANS_STMT_SAVEPOINT", transaction_action::savepoint, "SAVEPOINT"},
    {"TRANS_STMT_RELEASE", transaction_action::release, "RELEASE"},
    {"TRANS_STMT_ROLLBACK_TO", transaction_action::rollback_to, "ROLLBACK"},
    {"TRANS_STMT_PREPARE", transaction_action::prepare, "PREPARE TRANSACTION"},
    {"TRANS_STMT_COMMIT_PREPARED", transaction_action::commit_prepared, "COMMIT PREPARED"},
    {"TRANS_STMT_ROLLBACK_PREPARED", transaction_action::rollback_prepared, "ROLLBACK PREPARED"},
};

void convert_transaction(tree_node node, statement& out) {
  transaction change;
  const std::string kind = node["kind"].string();
  for (const auto& known : transactions) {
    if (known.parser_name != kind) continue;
    change.action = known.action;
    out.tag = known.tag;
  }
  change.name = node["savepoint_name"].string();
  if (change.name.empty()) change.name = node["gid"].string();
  change.chain = node["chain"].boolean();
  out.node = std::move(change);
}

}  // namespace

bool convert_session(const conversion&, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "VariableSetStmt") {
    variable_set setting = read_setting(inside);
    out.tag = setting_tag(setting);
    out.node = std::move(setting);
  } else if (type == "AlterRoleSetStmt" || type == "AlterDatabaseSetStmt") {
    const bool role = type == "AlterRoleSetStmt";
    alter_role_set change;
    if (role) change.role = read_role(inside["role"]);
    change.database = inside[role ? "database" : "dbname"].string();
    change.setting = read_setting(inside["setstmt"]);
    out.tag = role ? "ALTER ROLE" : "ALTER DATABASE";
    out.ddl = true;
    out.node = std::move(change);
  } else if (type == "AlterSystemStmt") {
    out.tag = "ALTER SYSTEM";
    out.node = alter_system{read_setting(inside["setstmt"])};
  } else if (type == "DiscardStmt") {
    const std::string target = inside["target"].string();
    discard dropped;
    dropped.target = target == "DISCARD_PLANS"       ? discard_target::plans
                     : target == "DISCARD_SEQUENCES" ? discard_target::sequences
                     : target == "DISCARD_TEMP"      ? discard_target::temp
                                                     : discard_target::all;
    out.tag = dropped.target == discard_target::plans       ? "DISCARD PLANS"
              : dropped.target == discard_target::sequences ? "DISCARD SEQUENCES"
              : dropped.target == discard_target::temp      ? "DISCARD TEMP"
                                                            : "DISCARD ALL";
    out.node = dropped;
  } else if (type == "TransactionStmt") {
    convert_transaction(inside, out);
  } else {
    return false;
  }
  return true;
}

}  // namespace tidegate::sql
