#include "policies/sql/conversion.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::sql {

position conversion::at(tree_node node) const {
  // The printer leaves zeros out; no node with a location of its own stands at the very beginning.
  const auto location = node["location"].integer(-1);
  return location < 0 ? -1 : static_cast<position>(location + offset);
}

bool conversion::adapted(adaptation_kind kind, text_range range) const {
  return std::any_of(adaptations.begin(), adaptations.end(), [&](const adaptation& a) {
    return a.kind == kind && a.at >= range.begin && a.at < range.end;
  });
}

qualified_name read_relation(const conversion& c, tree_node range_var) {
  qualified_name name;
  if (!range_var) return name;
  name.database = range_var["catalogname"].string();
  name.schema = range_var["schemaname"].string();
  name.name = range_var["relname"].string();
  name.at = c.shown(c.at(range_var));
  return name;
}

std::vector<qualified_name> read_relations(const conversion& c, tree_node list) {
  std::vector<qualified_name> names;
  for (const tree_node item : list) names.push_back(read_relation(c, item.as("RangeVar")));
  return names;
}

qualified_name name_from_parts(const std::vector<std::string>& parts) {
  qualified_name name;
  if (!parts.empty()) name.name = parts.back();
  if (parts.size() > 1) name.schema = parts[parts.size() - 2];
  if (parts.size() > 2) name.database = parts[parts.size() - 3];
  return name;
}

std::vector<std::string> read_strings(tree_node list) {
  std::vector<std::string> strings;
  if (list.is_object()) {
    if (const tree_node one = list.as("String")) return {one["sval"].string()};
    if (const tree_node inner = list.as("List")) return read_strings(inner["items"]);
    return {};
  }
  for (const tree_node item : list) {
    if (const tree_node one = item.as("String")) strings.push_back(one["sval"].string());
  }
  return strings;
}

std::string read_role(tree_node role_spec) {
  if (const tree_node inside = role_spec.as("RoleSpec")) return read_role(inside);
  const std::string kind = role_spec["roletype"].string();
  if (kind == "ROLESPEC_CURRENT_USER" || kind == "ROLESPEC_CURRENT_ROLE") return "current_user";
  if (kind == "ROLESPEC_SESSION_USER") return "session_user";
  if (kind == "ROLESPEC_PUBLIC") return "public";
  return role_spec["rolename"].string();
}

std::optional<std::string> constant_value(tree_node node) {
  while (const tree_node cast = node.as("TypeCast")) node = cast["arg"];
  if (const tree_node named = node.as("NamedArgExpr")) return constant_value(named["arg"]);
  const tree_node constant = node.as("A_Const");
  if (!constant || constant["isnull"].boolean()) return std::nullopt;
  if (const tree_node text = constant["sval"]) return text["sval"].string();
  if (const tree_node number = constant["ival"]) return std::to_string(number["ival"].integer());
  if (const tree_node number = constant["fval"]) return number["fval"].string();
  if (const tree_node truth = constant["boolval"]) return truth["boolval"].boolean() ? "true" : "false";
  if (const tree_node bits = constant["bsval"]) return bits["bsval"].string();
  return std::nullopt;
}

std::optional<std::string> signed_constant_value(const conversion& c, tree_node node) {
  tree_node inside = node;
  while (const tree_node cast = inside.as("TypeCast")) inside = cast["arg"];
  const tree_node constant = inside.as("A_Const");
  if (constant["ival"] && !constant["ival"]["ival"]) {
    // its location is that of the sign, which may be the end of an operator: x >=-5
    const position at = c.at(constant);
    const std::size_t first = c.tokens.index_at(at);
    if (first < c.tokens.size() && c.tokens.spelling(first) == "-")
      return "-" + std::string(c.tokens.spelling(first + 1));
    if (first < c.tokens.size() && static_cast<position>(c.tokens[first].begin) > at)
      return "-" + std::string(c.tokens.spelling(first));
  }
  return constant_value(node);
}

bool option_is_on(tree_node def_elem) {
  if (!def_elem) return false;
  const tree_node value = def_elem["arg"];
  if (!value) return true;
  if (const tree_node truth = value.as("Boolean")) return truth["boolval"].boolean();
  if (const tree_node number = value.as("Integer")) return number["ival"].integer() != 0;
  const std::string word = value.as("String")["sval"].string();
  return !equals_folded(word, "false") && !equals_folded(word, "off");
}

tree_node find_option(tree_node list, std::string_view name) {
  tree_node found;  // the last one counts, as in PostgreSQL
  for (const tree_node item : list) {
    const tree_node option = item.as("DefElem");
    if (option && equals_folded(option["defname"].string(), name)) found = option;
  }
  return found;
}

std::vector<storage_option> read_options(tree_node list) {
  std::vector<storage_option> options;
  for (const tree_node item : list) {
    const tree_node option = item.as("DefElem");
    const tree_node argument = option["arg"];
    std::string value = "true";  // SET (autovacuum_enabled)
    if (const tree_node text = argument.as("String")) {
      value = text["sval"].string();
    } else if (const tree_node number = argument.as("Integer")) {
      value = std::to_string(number["ival"].integer());
    } else if (const tree_node number_text = argument.as("Float")) {
      value = number_text["fval"].string();
    } else if (const tree_node truth = argument.as("Boolean")) {
      value = truth["boolval"].boolean() ? "true" : "false";
    } else if (const tree_node word = argument.as("TypeName")) {
      const auto parts = read_strings(word["names"]);  // SET (a = word) is read as a type
      value = parts.empty() ? std::string{} : parts.back();
    }
    std::string name = option["defname"].string();
    if (const std::string space = option["defnamespace"].string(); !space.empty()) name = space + "." + name;
    options.push_back({std::move(name), std::move(value)});
  }
  return options;
}

object_kind object_kind_of(std::string_view parser_name) {
  static constexpr std::pair<std::string_view, object_kind> kinds[] = {
      {"OBJECT_TABLE", object_kind::table},
      {"OBJECT_VIEW", object_kind::view},
      {"OBJECT_MATVIEW", object_kind::materialized_view},
      {"OBJECT_INDEX", object_kind::index},
      {"OBJECT_SEQUENCE", object_kind::sequence},
      {"OBJECT_FOREIGN_TABLE", object_kind::foreign_table},
      {"OBJECT_COLUMN", object_kind::column},
      {"OBJECT_ATTRIBUTE", object_kind::column},
      {"OBJECT_TABCONSTRAINT", object_kind::constraint},
      {"OBJECT_DOMCONSTRAINT", object_kind::constraint},
      {"OBJECT_TYPE", object_kind::type},
      {"OBJECT_DOMAIN", object_kind::domain},
      {"OBJECT_SCHEMA", object_kind::schema},
      {"OBJECT_DATABASE", object_kind::database},
      {"OBJECT_FUNCTION", object_kind::function},
      {"OBJECT_PROCEDURE", object_kind::function},
      {"OBJECT_ROUTINE", object_kind::function},
      {"OBJECT_AGGREGATE", object_kind::aggregate},
      {"OBJECT_TRIGGER", object_kind::trigger},
      {"OBJECT_RULE", object_kind::rule},
      {"OBJECT_POLICY", object_kind::policy},
      {"OBJECT_EXTENSION", object_kind::extension},
      {"OBJECT_PUBLICATION", object_kind::publication},
      {"OBJECT_SUBSCRIPTION", object_kind::subscription},
      {"OBJECT_STATISTIC_EXT", object_kind::statistics},
      {"OBJECT_ROLE", object_kind::role},
      {"OBJECT_TABLESPACE", object_kind::tablespace},
      {"OBJECT_COLLATION", object_kind::collation},
      {"OBJECT_EVENT_TRIGGER", object_kind::event_trigger},
      {"OBJECT_LANGUAGE", object_kind::language},
      {"OBJECT_OPERATOR", object_kind::operator_},
      {"OBJECT_CAST", object_kind::cast},
      {"OBJECT_FOREIGN_SERVER", object_kind::foreign_server},
  };
  for (const auto& [name, kind] : kinds) {
    if (name == parser_name) return kind;
  }
  return object_kind::other;
}

}  // namespace tidegate::sql
