#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

struct tags_of_kind {
  std::string_view parser_name, drop, alter;
};

// In the words of PostgreSQL's own command tags.
constexpr tags_of_kind tags[] = {
    {"OBJECT_TABLE", "DROP TABLE", "ALTER TABLE"},
    {"OBJECT_VIEW", "DROP VIEW", "ALTER VIEW"},
    {"OBJECT_MATVIEW", "DROP MATERIALIZED VIEW", "ALTER MATERIALIZED VIEW"},
    {"OBJECT_INDEX", "DROP INDEX", "ALTER INDEX"},
    {"OBJECT_SEQUENCE", "DROP SEQUENCE", "ALTER SEQUENCE"},
    {"OBJECT_FOREIGN_TABLE", "DROP FOREIGN TABLE", "ALTER FOREIGN TABLE"},
    {"OBJECT_COLUMN", "DROP", "ALTER TABLE"},
    {"OBJECT_ATTRIBUTE", "DROP", "ALTER TYPE"},
    {"OBJECT_TABCONSTRAINT", "DROP", "ALTER TABLE"},
    {"OBJECT_DOMCONSTRAINT", "DROP", "ALTER DOMAIN"},
    {"OBJECT_TYPE", "DROP TYPE", "ALTER TYPE"},
    {"OBJECT_DOMAIN", "DROP DOMAIN", "ALTER DOMAIN"},
    {"OBJECT_SCHEMA", "DROP SCHEMA", "ALTER SCHEMA"},
    {"OBJECT_DATABASE", "DROP DATABASE", "ALTER DATABASE"},
    {"OBJECT_FUNCTION", "DROP FUNCTION", "ALTER FUNCTION"},
    {"OBJECT_PROCEDURE", "DROP PROCEDURE", "ALTER PROCEDURE"},
    {"OBJECT_ROUTINE", "DROP ROUTINE", "ALTER ROUTINE"},
    {"OBJECT_AGGREGATE", "DROP AGGREGATE", "ALTER AGGREGATE"},
    {"OBJECT_TRIGGER", "DROP TRIGGER", "ALTER TRIGGER"},
    {"OBJECT_RULE", "DROP RULE", "ALTER RULE"},
    {"OBJECT_POLICY", "DROP POLICY", "ALTER POLICY"},
    {"OBJECT_EXTENSION", "DROP EXTENSION", "ALTER EXTENSION"},
    {"OBJECT_PUBLICATION", "DROP PUBLICATION", "ALTER PUBLICATION"},
    {"OBJECT_SUBSCRIPTION", "DROP SUBSCRIPTION", "ALTER SUBSCRIPTION"},
    {"OBJECT_STATISTIC_EXT", "DROP STATISTICS", "ALTER STATISTICS"},
    {"OBJECT_ROLE", "DROP ROLE", "ALTER ROLE"},
    {"OBJECT_TABLESPACE", "DROP TABLESPACE", "ALTER TABLESPACE"},
    {"OBJECT_COLLATION", "DROP COLLATION", "ALTER COLLATION"},
    {"OBJECT_EVENT_TRIGGER", "DROP EVENT TRIGGER", "ALTER EVENT TRIGGER"},
    {"OBJECT_LANGUAGE", "DROP LANGUAGE", "ALTER LANGUAGE"},
    {"OBJECT_OPERATOR", "DROP OPERATOR", "ALTER OPERATOR"},
    {"OBJECT_CAST", "DROP CAST", "ALTER"},
    {"OBJECT_FOREIGN_SERVER", "DROP SERVER", "ALTER SERVER"},
    {"OBJECT_CONVERSION", "DROP CONVERSION", "ALTER CONVERSION"},
    {"OBJECT_FDW", "DROP FOREIGN DATA WRAPPER", "ALTER FOREIGN DATA WRAPPER"},
    {"OBJECT_OPCLASS", "DROP OPERATOR CLASS", "ALTER OPERATOR CLASS"},
    {"OBJECT_OPFAMILY", "DROP OPERATOR FAMILY", "ALTER OPERATOR FAMILY"},
    {"OBJECT_ACCESS_METHOD", "DROP ACCESS METHOD", "ALTER"},
    {"OBJECT_TRANSFORM", "DROP TRANSFORM", "ALTER"},
    {"OBJECT_TSCONFIGURATION", "DROP TEXT SEARCH CONFIGURATION", "ALTER TEXT SEARCH CONFIGURATION"},
    {"OBJECT_TSDICTIONARY", "DROP TEXT SEARCH DICTIONARY", "ALTER TEXT SEARCH DICTIONARY"},
    {"OBJECT_TSPARSER", "DROP TEXT SEARCH PARSER", "ALTER TEXT SEARCH PARSER"},
    {"OBJECT_TSTEMPLATE", "DROP TEXT SEARCH TEMPLATE", "ALTER TEXT SEARCH TEMPLATE"},
};

const tags_of_kind& tags_for(std::string_view parser_name) {
  static constexpr tags_of_kind unknown{"", "DROP", "ALTER"};
  for (const auto& known : tags) {
    if (known.parser_name == parser_name) return known;
  }
  return unknown;
}

bool belongs_to_relation(object_kind kind) {
  return kind == object_kind::trigger || kind == object_kind::rule || kind == object_kind::policy;
}

bool is_relation(object_kind kind) {
  switch (kind) {
    case object_kind::table:
    case object_kind::view:
    case object_kind::materialized_view:
    case object_kind::index:
    case object_kind::sequence:
    case object_kind::foreign_table:
      return true;
    default:
      return false;
  }
}

// The name of any object: a list of parts, a type, a function with its arguments.
std::vector<std::string> object_name(tree_node object) {
  if (const tree_node type = object.as("TypeName")) return read_strings(type["names"]);
  if (const tree_node routine = object.as("ObjectWithArgs")) return read_strings(routine["objname"]);
  return read_strings(object);
}

void convert_drop_objects(const conversion& c, tree_node node, statement& out) {
  drop dropped;
  const std::string parser_kind = node["removeType"].string();
  dropped.kind = object_kind_of(parser_kind);
  dropped.if_exists = node["missing_ok"].boolean();
  dropped.cascade = node["behavior"].string() == "DROP_CASCADE";
  dropped.concurrently = node["concurrent"].boolean();
  for (const tree_node object : node["objects"]) {
    std::vector<std::string> parts = object_name(object);
    if (belongs_to_relation(dropped.kind) && !parts.empty()) {
      dropped.names.push_back(std::move(parts.back()));
      parts.pop_back();
    }
    dropped.objects.push_back(name_from_parts(parts));
  }
  const token_list& tokens = c.tokens;
  // The tree has no places for these names; the text lists relations one by one behind the keyword.
  if (is_relation(dropped.kind)) {
    std::size_t i = 1;
    while (tokens.is_any_word(i, {"table", "view", "materialized", "index", "sequence", "foreign"})) ++i;
    if (dropped.kind == object_kind::index && i > 1)
      dropped.after_kind = c.shown(static_cast<position>(tokens[i - 1].end));
    if (dropped.concurrently) ++i;
    if (dropped.if_exists) i += 2;
    for (qualified_name& object : dropped.objects) {
      if (i < tokens.size()) object.at = c.shown(static_cast<position>(tokens[i].begin));
      i = tokens.element_end(i) + 1;
    }
  }
  out.tag = tags_for(parser_kind).drop;
  out.node = std::move(dropped);
}

void convert_rename_object(const conversion& c, tree_node node, statement& out) {
  rename renamed;
  const std::string parser_kind = node["renameType"].string();
  renamed.kind = object_kind_of(parser_kind);
  renamed.to = node["newname"].string();
  renamed.if_exists = node["missing_ok"].boolean();
  renamed.cascade = node["behavior"].string() == "DROP_CASCADE";
  const std::string own_name = node["subname"].string();
  out.tag = tags_for(parser_kind).alter;
  if (const tree_node relation = node["relation"]) {
    renamed.relation = read_relation(c, relation);
    const bool part = !own_name.empty();
    renamed.from = part ? own_name : renamed.relation.name;
    renamed.relation_kind = renamed.kind;
    if (parser_kind == "OBJECT_COLUMN") {
      const std::string on = node["relationType"].string();
      renamed.relation_kind = object_kind_of(on);
      out.tag = tags_for(on).alter;
    } else if (parser_kind == "OBJECT_ATTRIBUTE") {
      renamed.relation_kind = object_kind::composite_type;
    } else if (part) {
      renamed.relation_kind = object_kind::table;
    }
  } else if (const tree_node object = node["object"]) {
    renamed.relation = name_from_parts(object_name(object));
    renamed.from = own_name.empty() ? renamed.relation.name : own_name;
    renamed.relation_kind = parser_kind == "OBJECT_DOMCONSTRAINT" ? object_kind::domain : renamed.kind;
  } else {
    renamed.relation.name = own_name;
    renamed.from = own_name;
    renamed.relation_kind = renamed.kind;
  }
  out.node = std::move(renamed);
}

void convert_set_schema(const conversion& c, tree_node node, statement& out) {
  set_schema moved;
  const std::string parser_kind = node["objectType"].string();
  moved.kind = object_kind_of(parser_kind);
  moved.object =
      node["relation"] ? read_relation(c, node["relation"]) : name_from_parts(object_name(node["object"]));
  moved.to = node["newschema"].string();
  moved.if_exists = node["missing_ok"].boolean();
  out.tag = tags_for(parser_kind).alter;
  out.node = std::move(moved);
}

}  // namespace

bool convert_drop(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "DropStmt") {
    convert_drop_objects(c, inside, out);
  } else if (type == "DropOwnedStmt") {
    drop_owned dropped;
    for (const tree_node role : inside["roles"]) dropped.roles.push_back(read_role(role));
    dropped.cascade = inside["behavior"].string() == "DROP_CASCADE";
    out.tag = "DROP OWNED";
    out.node = std::move(dropped);
  } else if (type == "DropdbStmt") {
    out.tag = "DROP DATABASE";
    out.node = drop_database{inside["dbname"].string(), inside["missing_ok"].boolean()};
  } else {
    return false;
  }
  out.ddl = true;
  return true;
}

bool convert_rename(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  if (type == "RenameStmt") {
    convert_rename_object(c, node.first(), out);
  } else if (type == "AlterObjectSchemaStmt") {
    convert_set_schema(c, node.first(), out);
  } else {
    return false;
  }
  out.ddl = true;
  return true;
}

}  // namespace tidegate::sql
