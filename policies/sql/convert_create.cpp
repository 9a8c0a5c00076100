#include "policies/sql/conversion.hpp"
#include "policies/sql/nested.hpp"
#include "policies/sql/plpgsql_body.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::sql {
namespace {

bool is_temporary(tree_node range_var) {
  return range_var["relpersistence"].string() == "t";
}

create_table read_table(const conversion& c, tree_node node) {
  create_table create;
  create.relation = read_relation(c, node["relation"]);
  create.if_not_exists = node["if_not_exists"].boolean();
  create.temporary = is_temporary(node["relation"]);
  create.unlogged = node["relation"]["relpersistence"].string() == "u";
  for (const tree_node item : node["tableElts"]) {
    if (const tree_node column = item.as("ColumnDef")) {
      create.columns.push_back(read_column(c, column));
    } else if (const tree_node constraint = item.as("Constraint")) {
      const std::size_t end = c.tokens.element_end(c.tokens.index_at(c.at(constraint)));
      create.constraints.push_back(read_constraint(c, constraint, end));
    } else if (const tree_node like = item.as("TableLikeClause")) {
      create.like.push_back(read_relation(c, like["relation"]));
    }
  }
  std::vector<qualified_name> parents = read_relations(c, node["inhRelations"]);
  if (const tree_node bound = node["partbound"]; bound && !parents.empty()) {
    create.partition_of = std::move(parents.front());
    const std::size_t all = c.tokens.size();
    const std::size_t parent = c.tokens.index_at(c.at(node["inhRelations"].first().as("RangeVar")));
    std::size_t behind = all;
    create.bound = read_partition_bound(
        c, bound, c.tokens.find_word(bound["is_default"].boolean() ? "default" : "for", parent, all), behind);
    if (behind < all) create.behind_bound = c.tokens.text(c.tokens.range(behind, all));
  } else {
    create.inherits = std::move(parents);
  }
  create.partitioned = static_cast<bool>(node["partspec"]);
  create.options = read_options(node["options"]);
  return create;
}

// ChooseIndexColumnNames(): a number behind a name that is there already.
void add_column_name(std::vector<std::string>& names, std::string name) {
  if (name.empty()) name = "expr";
  std::string numbered = name;
  for (int i = 1; std::find(names.begin(), names.end(), numbered) != names.end(); ++i)
    numbered = name + std::to_string(i);
  names.push_back(std::move(numbered));
}

create_index read_index(const conversion& c, tree_node node) {
  create_index create;
  create.name = node["idxname"].string();
  create.relation = read_relation(c, node["relation"]);
  create.only = !node["relation"]["inh"].boolean();
  create.concurrently = node["concurrent"].boolean();
  create.unique = node["unique"].boolean();
  create.if_not_exists = node["if_not_exists"].boolean();
  create.method = node["accessMethod"].string();
  const token_list& tokens = c.tokens;
  const std::size_t keyword = tokens.find_word("index", 0, tokens.size());
  if (keyword < tokens.size()) create.after_index = c.shown(static_cast<position>(tokens[keyword].end));

  std::size_t from = tokens.index_at(c.at(node["relation"]));
  while (from < tokens.size() && !tokens.is_char(from, '(')) ++from;
  ++from;
  for (const tree_node item : node["indexParams"]) {
    const tree_node element = item.as("IndexElem");
    const std::size_t end = tokens.element_end(from);
    create.columns.push_back(element["name"].string());
    const tree_node value = element["expr"];
    add_column_name(create.column_names, value ? figured_name(value) : element["name"].string());
    if (value) create.expressions.push_back(read_expression(c, value, from, end));
    from = end + 1;
  }
  for (const tree_node item : node["indexIncludingParams"])
    add_column_name(create.column_names, item.as("IndexElem")["name"].string());
  if (const tree_node where = node["whereClause"]) {
    const std::size_t keyword_where = tokens.find_word("where", from, tokens.size());
    create.where = read_expression(c, where, keyword_where + 1, tokens.size());
  }
  return create;
}

// As PostgreSQL names a column that has no alias, where that is certain.
std::string name_of_column(tree_node value) {
  std::string type;
  while (const tree_node cast = value.as("TypeCast")) {
    const auto names = read_strings(cast["typeName"]["names"]);
    if (type.empty() && !names.empty()) type = names.back();
    value = cast["arg"];
  }
  if (value.as("A_Const")) return type;
  if (const tree_node call = value.as("FuncCall")) {
    const auto parts = read_strings(call["funcname"]);
    return parts.size() == 1 ? parts.back() : std::string{};  // EXTRACT and its like bring a schema
  }
  const auto parts = read_strings(value.as("ColumnRef")["fields"]);
  return parts.empty() ? std::string{} : parts.back();
}

bool is_star(tree_node value) {
  for (const tree_node field : value.as("ColumnRef")["fields"])
    if (field.type() == "A_Star") return true;
  return false;
}

// The columns of a UNION are those of its first arm. VALUES is left to PostgreSQL.
void read_view_columns(const conversion& c, tree_node view, create_view& out) {
  tree_node select = view["query"].as("SelectStmt");
  bool combined = false;
  while (const tree_node left = select["larg"]) {
    select = left;
    combined = true;  // the types are those of both arms
  }
  const tree_node targets = select["targetList"];
  const std::vector<std::string> aliases = read_strings(view["aliases"]);
  for (const tree_node item : targets) {
    const tree_node target = item.as("ResTarget");
    if (is_star(target["val"])) return;
    view_column column;
    column.name = target["name"].string();
    if (column.name.empty()) column.name = name_of_column(target["val"]);
    if (out.columns.size() < aliases.size()) column.name = aliases[out.columns.size()];
    if (const tree_node cast = target["val"].as("TypeCast"); cast && !combined)
      column.type = read_type(c, cast["typeName"]);
    out.columns.push_back(std::move(column));
  }
  out.has_all_columns = static_cast<bool>(targets);
}

// Of a SELECT, `query`: what the rows of the new table come from.
create_table_as read_table_as(const conversion& c, tree_node into, tree_node query) {
  create_table_as create;
  if (const tree_node select = query.as("SelectStmt")) {
    const qualified_name made = read_relation(c, into["rel"]);
    for (qualified_name& source : read_query(c, query).relations)
      if (!(source.at == made.at && source == made)) create.sources.push_back(std::move(source));
    create.narrowed =
        select["whereClause"] || select["limitCount"] || select["groupClause"] || select["distinctClause"];
  }
  create.relation = read_relation(c, into["rel"]);
  create.temporary = is_temporary(into["rel"]);
  create.with_no_data = into["skipData"].boolean();
  return create;
}

on_relation about(on_relation_verb verb, object_kind kind, qualified_name relation, std::string name) {
  on_relation statement;
  statement.verb = verb;
  statement.kind = kind;
  statement.relation = std::move(relation);
  statement.name = std::move(name);
  return statement;
}

on_relation read_comment(tree_node node) {
  const object_kind kind = object_kind_of(node["objtype"].string());
  std::vector<std::string> parts = read_strings(node["object"]);
  switch (kind) {
    case object_kind::table:
    case object_kind::view:
    case object_kind::materialized_view:
    case object_kind::index:
    case object_kind::sequence:
    case object_kind::foreign_table:
      return about(on_relation_verb::comment, kind, name_from_parts(parts), {});
    case object_kind::column:
    case object_kind::constraint:
    case object_kind::trigger:
    case object_kind::rule:
    case object_kind::policy:
      if (parts.size() > 1) {
        std::string own = std::move(parts.back());
        parts.pop_back();
        return about(on_relation_verb::comment, kind, name_from_parts(parts), std::move(own));
      }
      [[fallthrough]];
    default:
      return about(on_relation_verb::comment, kind, {}, parts.empty() ? std::string{} : parts.back());
  }
}

// What can't be read is left out: a function runs later, and then the statement that calls it is no DDL.
std::vector<statement> read_body_statements(const conversion& c, std::string_view language,
                                            std::string_view body) {
  if (language == "plpgsql") return read_plpgsql_body(body, c.options, c.nesting).statements;
  if (language == "sql") return parse_nested(body, c.options, c.nesting).statements;
  return {};
}

create_function read_function_definition(const conversion& c, tree_node node) {
  create_function create;
  create.name = name_from_parts(read_strings(node["funcname"]));
  create.procedure = node["is_procedure"].boolean();
  create.language = find_option(node["options"], "language")["arg"].as("String")["sval"].string();
  const std::vector<std::string> body = read_strings(find_option(node["options"], "as")["arg"]);
  if (body.size() == 1) create.statements = read_body_statements(c, create.language, body.front());
  return create;
}

bool convert_table_as(const conversion& c, tree_node node, statement& out) {
  create_table_as create = read_table_as(c, node["into"], node["query"]);
  create.if_not_exists = node["if_not_exists"].boolean();
  create.materialized_view = node["objtype"].string() == "OBJECT_MATVIEW";
  out.tag = create.materialized_view ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
  out.node = std::move(create);
  return true;
}

// SELECT … INTO: the clause stands in the leftmost arm of a UNION.
tree_node into_clause(tree_node select) {
  for (; select; select = select["larg"]) {
    if (const tree_node into = select["intoClause"]) return into;
  }
  return {};
}

void convert_schema(const conversion& c, tree_node node, statement& out) {
  create_schema create;
  create.name = node["schemaname"].string();
  if (create.name.empty()) create.name = read_role(node["authrole"]);
  for (const tree_node element : node["schemaElts"]) {
    create.elements.push_back(convert_statement(c, element));
    create.elements.back().range = c.shown(c.tokens.range(0, c.tokens.size()));
  }
  out.tag = "CREATE SCHEMA";
  out.node = std::move(create);
}

bool convert_on_relation(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "CreateTrigStmt") {
    on_relation create = about(on_relation_verb::create, object_kind::trigger,
                               read_relation(c, inside["relation"]), inside["trigname"].string());
    create.replace = inside["replace"].boolean();
    out.tag = "CREATE TRIGGER";
    out.node = std::move(create);
  } else if (type == "CreatePolicyStmt" || type == "AlterPolicyStmt") {
    const bool create = type == "CreatePolicyStmt";
    out.tag = create ? "CREATE POLICY" : "ALTER POLICY";
    out.node = about(create ? on_relation_verb::create : on_relation_verb::alter, object_kind::policy,
                     read_relation(c, inside["table"]), inside["policy_name"].string());
  } else if (type == "RuleStmt") {
    on_relation create = about(on_relation_verb::create, object_kind::rule,
                               read_relation(c, inside["relation"]), inside["rulename"].string());
    create.replace = inside["replace"].boolean();
    out.tag = "CREATE RULE";
    out.node = std::move(create);
  } else if (type == "CreateStatsStmt") {
    out.tag = "CREATE STATISTICS";
    out.node = about(on_relation_verb::create, object_kind::statistics,
                     read_relation(c, inside["relations"].first().as("RangeVar")),
                     name_from_parts(read_strings(inside["defnames"])).name);
  } else if (type == "CommentStmt") {
    out.tag = "COMMENT";
    out.node = read_comment(inside);
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool convert_create(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "CreateStmt") {
    out.tag = "CREATE TABLE";
    out.node = read_table(c, inside);
  } else if (type == "CreateForeignTableStmt") {
    create_table create = read_table(c, inside["base"]);
    create.foreign = true;
    out.tag = "CREATE FOREIGN TABLE";
    out.node = std::move(create);
  } else if (type == "CreateTableAsStmt") {
    convert_table_as(c, inside, out);
  } else if (const tree_node into = type == "SelectStmt" ? into_clause(inside) : tree_node{}) {
    create_table_as create = read_table_as(c, into, node);
    create.select_into = true;
    out.tag = "SELECT INTO";
    out.node = std::move(create);
  } else if (type == "IndexStmt") {
    out.tag = "CREATE INDEX";
    out.node = read_index(c, inside);
  } else if (type == "ViewStmt") {
    create_view create;
    create.relation = read_relation(c, inside["view"]);
    create.replace = inside["replace"].boolean();
    create.temporary = is_temporary(inside["view"]);
    read_view_columns(c, inside, create);
    out.tag = "CREATE VIEW";
    out.node = std::move(create);
  } else if (type == "CreateEnumStmt") {
    out.tag = "CREATE TYPE";
    out.node = create_enum{name_from_parts(read_strings(inside["typeName"]))};
  } else if (type == "CreateFunctionStmt") {
    create_function create = read_function_definition(c, inside);
    out.tag = create.procedure ? "CREATE PROCEDURE" : "CREATE FUNCTION";
    out.node = std::move(create);
  } else if (type == "CreateSchemaStmt") {
    convert_schema(c, inside, out);
  } else if (!convert_on_relation(c, node, out)) {
    return false;
  }
  out.ddl = true;
  return true;
}

}  // namespace tidegate::sql
