#include "policies/sql/conversion.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::sql {
namespace {

struct kind_of_constraint {
  std::string_view parser_name;
  constraint_kind kind;
};

constexpr kind_of_constraint kinds[] = {
    {"CONSTR_NULL", constraint_kind::null_allowed},          {"CONSTR_NOTNULL", constraint_kind::not_null},
    {"CONSTR_DEFAULT", constraint_kind::default_value},      {"CONSTR_IDENTITY", constraint_kind::identity},
    {"CONSTR_GENERATED", constraint_kind::generated_stored}, {"CONSTR_CHECK", constraint_kind::check},
    {"CONSTR_PRIMARY", constraint_kind::primary_key},        {"CONSTR_UNIQUE", constraint_kind::unique},
    {"CONSTR_EXCLUSION", constraint_kind::exclusion},        {"CONSTR_FOREIGN", constraint_kind::foreign_key},
};

// The tokens of a constraint's expression: between its brackets, or all behind DEFAULT.
std::pair<std::size_t, std::size_t> expression_tokens(const conversion& c, constraint_kind kind,
                                                      std::size_t from, std::size_t end) {
  if (kind == constraint_kind::default_value) {
    std::size_t i = from;
    while (i < end && !c.tokens.is_word(i, "default")) ++i;
    return {i + 1, end};
  }
  std::size_t i = from;
  while (i < end && !c.tokens.is_char(i, '(')) ++i;
  return {i + 1, std::min(c.tokens.closing(i), end)};
}

std::vector<std::string> exclusion_columns(tree_node exclusions) {
  std::vector<std::string> columns;
  for (const tree_node pair : exclusions) {
    const tree_node element = pair.as("List")["items"].first().as("IndexElem");
    columns.push_back(element["name"].string());
  }
  return columns;
}

bool is_attribute(std::string_view parser_kind) {
  return parser_kind.starts_with("CONSTR_ATTR_");
}

// DEFERRABLE and its like follow a column's constraint as nodes of their own.
void apply_attribute(std::string_view parser_kind, constraint_definition& constraint) {
  if (parser_kind == "CONSTR_ATTR_DEFERRABLE") constraint.deferrable = true;
  if (parser_kind == "CONSTR_ATTR_DEFERRED") constraint.deferrable = constraint.initially_deferred = true;
}

}  // namespace

constraint_definition read_constraint(const conversion& c, tree_node node, std::size_t end) {
  constraint_definition constraint;
  const std::string parser_kind = node["contype"].string();
  for (const auto& known : kinds) {
    if (known.parser_name == parser_kind) constraint.kind = known.kind;
  }
  const position at = c.at(node);
  const std::size_t from = at < 0 ? end : c.tokens.index_at(at);
  const text_range range = c.tokens.range(from, end);
  constraint.range = c.shown(range);
  constraint.name = node["conname"].string();
  constraint.columns =
      read_strings(node[constraint.kind == constraint_kind::foreign_key ? "fk_attrs" : "keys"]);
  constraint.included = read_strings(node["including"]);
  if (const tree_node table = node["pktable"]) constraint.referenced = read_relation(c, table);
  constraint.referenced_columns = read_strings(node["pk_attrs"]);
  constraint.using_index = node["indexname"].string();
  constraint.not_valid = node["skip_validation"].boolean();
  constraint.no_inherit = node["is_no_inherit"].boolean();
  constraint.deferrable = node["deferrable"].boolean();
  constraint.initially_deferred = node["initdeferred"].boolean();
  constraint.nulls_not_distinct = node["nulls_not_distinct"].boolean();
  constraint.identity_always =
      constraint.kind == constraint_kind::identity && node["generated_when"].string() == "a";
  constraint.not_enforced = c.adapted(adaptation_kind::not_enforced, range);
  if (constraint.kind == constraint_kind::exclusion)
    constraint.columns = exclusion_columns(node["exclusions"]);

  const bool is_virtual =
      constraint.kind == constraint_kind::default_value && c.adapted(adaptation_kind::virtual_column, range);
  if (is_virtual) constraint.kind = constraint_kind::generated_virtual;
  if (constraint.kind == constraint_kind::check && c.adapted(adaptation_kind::not_null_constraint, range)) {
    constraint.kind = constraint_kind::not_null;
    constraint.columns = read_strings(node["raw_expr"].as("ColumnRef")["fields"]);
  } else if (const tree_node value = node["raw_expr"]) {
    const auto [first, last] = expression_tokens(c, constraint.kind, from, end);
    constraint.value = read_expression(c, value, first, last);
  }
  return constraint;
}

column_definition read_column(const conversion& c, tree_node node) {
  column_definition column;
  column.name = node["colname"].string();
  column.type = read_type(c, node["typeName"]);
  const std::vector<std::string> collation = read_strings(node["collClause"]["collname"]);
  if (!collation.empty()) column.collation = collation.back();
  const position at = c.at(node);
  const std::size_t from = at < 0 ? c.tokens.size() : c.tokens.index_at(at);
  const std::size_t end = c.tokens.element_end(from);
  column.range = c.shown(c.tokens.range(from, end));

  for (const tree_node item : node["constraints"]) {
    const tree_node inside = item.as("Constraint");
    const std::string parser_kind = inside["contype"].string();
    if (is_attribute(parser_kind)) {
      if (!column.constraints.empty()) apply_attribute(parser_kind, column.constraints.back());
      continue;
    }
    const position following = c.at(item.next().as("Constraint"));
    const bool has_following = item.next() && following >= 0;
    constraint_definition constraint =
        read_constraint(c, inside, has_following ? c.tokens.index_at(following) : end);
    const bool about_the_column = constraint.columns.empty() && constraint.kind != constraint_kind::check &&
                                  constraint.kind != constraint_kind::default_value;
    if (about_the_column) constraint.columns = {column.name};
    column.constraints.push_back(std::move(constraint));
  }
  return column;
}

}  // namespace tidegate::sql
