#include "policies/sql/conversion.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::sql {
namespace {

std::string column_name(tree_node node) {
  const std::vector<std::string> parts = read_strings(node.as("ColumnRef")["fields"]);
  return parts.empty() ? std::string{} : parts.back();
}

bool is_null_literal(tree_node node) {
  return node.as("A_Const")["isnull"].boolean();
}

// x IS NOT NULL and (x, y) IS NOT NULL; inside NOT (…): x IS NULL.
void prove_by_null_test(tree_node test, bool negated, std::vector<std::string>& proven) {
  if ((test["nulltesttype"].string() == "IS_NOT_NULL") == negated) return;
  const tree_node argument = test["arg"];
  if (std::string column = column_name(argument); !column.empty()) {
    proven.push_back(std::move(column));
  } else if (const tree_node row = argument.as("RowExpr"); row && !negated) {
    for (const tree_node field : row["args"]) {
      if (std::string name = column_name(field); !name.empty()) proven.push_back(std::move(name));
    }
  }
}

// What PostgreSQL's predicate proof accepts for SET NOT NULL (hazards §0.5); nothing more is claimed.
std::vector<std::string> columns_proven_not_null(tree_node expression_node) {
  std::vector<std::string> proven;
  std::vector<tree_node> conjuncts{expression_node};
  while (!conjuncts.empty()) {
    const tree_node node = conjuncts.back();
    conjuncts.pop_back();
    if (const tree_node test = node.as("NullTest")) {
      prove_by_null_test(test, false, proven);
    } else if (const tree_node boolean = node.as("BoolExpr")) {
      const std::string kind = boolean["boolop"].string();
      if (kind == "AND_EXPR") {
        for (const tree_node argument : boolean["args"]) conjuncts.push_back(argument);
      } else if (kind == "NOT_EXPR") {
        prove_by_null_test(boolean["args"].first().as("NullTest"), true, proven);
      }
    } else if (const tree_node comparison = node.as("A_Expr");
               comparison && comparison["kind"].string() == "AEXPR_DISTINCT") {
      const tree_node left = comparison["lexpr"], right = comparison["rexpr"];
      const tree_node operand = is_null_literal(right) ? left : is_null_literal(left) ? right : tree_node{};
      if (std::string name = column_name(operand); !name.empty()) proven.push_back(std::move(name));
    }
  }
  std::sort(proven.begin(), proven.end());
  proven.erase(std::unique(proven.begin(), proven.end()), proven.end());
  return proven;
}

expression_shape shape_of(tree_node node) {
  bool cast = false;
  while (const tree_node inside = node.as("TypeCast")) {
    node = inside["arg"];
    cast = true;
  }
  if (node.as("A_Const"))
    return is_null_literal(node) ? expression_shape::null_constant : expression_shape::constant;
  if (!column_name(node).empty()) return cast ? expression_shape::cast_column : expression_shape::column;
  return expression_shape::other;
}

void add_operators(tree_node a_expr, std::vector<std::string>& operators) {
  const std::string kind = a_expr["kind"].string();
  if (kind.find("BETWEEN") != std::string::npos) {
    operators.insert(operators.end(), {">=", "<="});
    return;
  }
  const std::vector<std::string> parts = read_strings(a_expr["name"]);
  if (!parts.empty()) operators.push_back(parts.back());
}

void add_once(std::vector<std::string>& names, std::string name) {
  if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
    names.push_back(std::move(name));
}

}  // namespace

// Only a type's name and what is only an alternative give way to something better inside (strength 1).
std::string figured_name(tree_node node) {
  std::string fallback;
  for (;;) {
    if (node.as("ColumnRef")) {
      const std::string name = column_name(node);
      return name.empty() ? fallback : name;
    }
    if (const tree_node call = node.as("FuncCall"))
      return name_from_parts(read_strings(call["funcname"])).name;
    if (const tree_node cast = node.as("TypeCast")) {
      const tree_node type = cast["typeName"];
      if (fallback.empty()) {
        const tree_node inside = type.as("TypeName");
        fallback = name_from_parts(read_strings((inside ? inside : type)["names"])).name;
      }
      node = cast["arg"];
      continue;
    }
    if (const tree_node collated = node.as("CollateClause")) {
      node = collated["arg"];
      continue;
    }
    if (node.as("CoalesceExpr")) return "coalesce";
    if (const tree_node extreme = node.as("MinMaxExpr"))
      return extreme["op"].string() == "IS_LEAST" ? "least" : "greatest";
    if (const tree_node choice = node.as("CaseExpr")) {
      if (fallback.empty()) fallback = "case";
      if (!choice["defresult"]) return fallback;
      node = choice["defresult"];
      continue;
    }
    if (node.as("A_Expr") && node.as("A_Expr")["kind"].string() == "AEXPR_NULLIF") return "nullif";
    if (node.as("A_ArrayExpr")) return "array";
    if (node.as("RowExpr")) return "row";
    return fallback;
  }
}

type_name read_type(const conversion& c, tree_node node) {
  if (const tree_node inside = node.as("TypeName")) node = inside;
  type_name type;
  if (!node) return type;
  const qualified_name name = name_from_parts(read_strings(node["names"]));
  type.schema = name.schema;
  type.name = name.name;
  type.percent_type = node["pct_type"].boolean();
  type.array_dimensions = static_cast<int>(node["arrayBounds"].size());
  const position at = c.at(node);
  type.at = c.shown(at);
  for (const tree_node modifier : node["typmods"]) {
    const tree_node value = modifier.as("A_Const")["ival"];
    if (value) type.modifiers.push_back(value["ival"].integer());
  }
  if (at >= 0) {
    const std::size_t from = c.tokens.index_at(at);
    type.text = c.tokens.text(c.tokens.range(from, c.tokens.behind_type(from)));
  }
  return type;
}

void read_typed_literal(const conversion& c, tree_node type_cast, std::vector<typed_literal>& out) {
  const tree_node text = type_cast["arg"].as("A_Const")["sval"];
  if (text) out.push_back({text["sval"].string(), read_type(c, type_cast["typeName"])});
}

function_call read_function(const conversion& c, tree_node func_call) {
  function_call call;
  const qualified_name name = name_from_parts(read_strings(func_call["funcname"]));
  call.schema = name.schema;
  call.name = name.name;
  call.at = c.shown(c.at(func_call));
  for (const tree_node argument : func_call["args"])
    call.constant_arguments.push_back(constant_value(argument));
  call.arguments = static_cast<int>(call.constant_arguments.size());
  return call;
}

expression read_expression(const conversion& c, tree_node node, std::size_t from, std::size_t end) {
  expression result;
  result.shape = shape_of(node);
  const text_range range = c.tokens.range(from, end);
  result.range = c.shown(range);
  result.text = c.tokens.text(range);
  result.proves_not_null = columns_proven_not_null(node);
  // Casts from the inside out: an outer cast is met first, so they are turned round at the end.
  std::vector<tree_node> open{node};
  while (!open.empty()) {
    const tree_node here = open.back();
    open.pop_back();
    const std::string_view kind = here.key();
    if (kind == "FuncCall") {
      result.functions.push_back(read_function(c, here));
    } else if (kind == "ColumnRef") {
      const std::vector<std::string> parts = read_strings(here["fields"]);
      if (!parts.empty()) add_once(result.columns, parts.back());
    } else if (kind == "TypeCast") {
      result.casts.push_back(read_type(c, here["typeName"]));
      read_typed_literal(c, here, result.literals);
    } else if (kind == "A_Expr") {
      add_operators(here, result.operators);
    } else if (kind == "SQLValueFunction") {
      result.has_sql_value_function = true;
    } else if (kind == "SubLink") {
      result.has_subquery = true;
    }
    for (const tree_node child : here) {
      if (child.first()) open.push_back(child);
    }
  }
  std::reverse(result.casts.begin(), result.casts.end());
  std::sort(result.operators.begin(), result.operators.end());
  result.operators.erase(std::unique(result.operators.begin(), result.operators.end()),
                         result.operators.end());
  return result;
}

}  // namespace tidegate::sql
