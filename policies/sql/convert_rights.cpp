#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

// Tables, schemas, functions …: whatever form the tree gives their names.
qualified_name read_object(const conversion& c, tree_node object) {
  if (const tree_node relation = object.as("RangeVar")) return read_relation(c, relation);
  if (const tree_node function = object.as("ObjectWithArgs"))
    return name_from_parts(read_strings(function["objname"]));
  if (const tree_node privilege = object.as("AccessPriv"))  // the role of GRANT role TO …
    return name_from_parts({privilege["priv_name"].string()});
  return name_from_parts(read_strings(object));
}

void read_grantees(tree_node list, privilege_change& change) {
  for (const tree_node grantee : list) {
    change.grantees.push_back(read_role(grantee));
    if (grantee.as("RoleSpec")["roletype"].string() == "ROLESPEC_PUBLIC") change.to_public = true;
  }
}

privilege_change read_privileges(const conversion& c, tree_node node) {
  privilege_change change;
  change.grant = node["is_grant"].boolean();
  for (const tree_node item : node["privileges"])
    change.privileges.push_back(item.as("AccessPriv")["priv_name"].string());
  change.kind = object_kind_of(node["objtype"].string());
  change.all_in_schema = node["targtype"].string() == "ACL_TARGET_ALL_IN_SCHEMA";
  for (const tree_node object : node["objects"]) change.objects.push_back(read_object(c, object));
  read_grantees(node["grantees"], change);
  change.with_option = node["grant_option"].boolean();
  return change;
}

privilege_change read_membership(const conversion& c, tree_node node) {
  privilege_change change;
  change.grant = node["is_grant"].boolean();
  change.of_role = true;
  change.kind = object_kind::role;
  for (const tree_node role : node["granted_roles"]) change.objects.push_back(read_object(c, role));
  read_grantees(node["grantee_roles"], change);
  change.with_option = node["admin_opt"].boolean();
  return change;
}

publication_change read_publication(const conversion& c, tree_node node, bool create) {
  publication_change change;
  change.name = node["pubname"].string();
  change.all_tables = node["for_all_tables"].boolean();
  for (const tree_node item : node["pubobjects"]) {
    const tree_node table = item.as("PublicationObjSpec")["pubtable"];
    if (table) change.relations.push_back(read_relation(c, table["relation"]));
  }
  if (create) return change;
  const std::string action = node["action"].string();
  change.action = node["options"]              ? publication_action::options
                  : action == "AP_DropObjects" ? publication_action::drop
                  : action == "AP_SetObjects"  ? publication_action::set
                                               : publication_action::add;
  return change;
}

}  // namespace

bool convert_rights(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "GrantStmt") {
    privilege_change change = read_privileges(c, inside);
    out.tag = change.grant ? "GRANT" : "REVOKE";
    out.node = std::move(change);
  } else if (type == "GrantRoleStmt") {
    privilege_change change = read_membership(c, inside);
    out.tag = change.grant ? "GRANT ROLE" : "REVOKE ROLE";
    out.node = std::move(change);
  } else if (type == "AlterDefaultPrivilegesStmt") {
    privilege_change change = read_privileges(c, inside["action"]);
    change.by_default = true;
    out.tag = "ALTER DEFAULT PRIVILEGES";
    out.node = std::move(change);
  } else if (type == "CreatePublicationStmt" || type == "AlterPublicationStmt") {
    const bool create = type == "CreatePublicationStmt";
    out.tag = create ? "CREATE PUBLICATION" : "ALTER PUBLICATION";
    out.node = read_publication(c, inside, create);
  } else {
    return false;
  }
  out.ddl = true;
  return true;
}

}  // namespace tidegate::sql
