#include "policies/sql/predicate.hpp"

#include "policies/sql/conversion.hpp"

#include <cstddef>
#include <utility>

namespace tidegate::sql {
namespace {

using form = predicate::form;

constexpr int deepest_predicate = 64;  // AND and OR are flat in the tree: nobody writes deeper than this

std::string cast_type(tree_node cast) {
  const auto names = read_strings(cast["typeName"]["names"]);
  return names.empty() ? std::string{} : names.back();
}

// A column under at most one cast.
bool read_column(tree_node node, predicate& out) {
  std::string type;
  if (const tree_node cast = node.as("TypeCast")) {
    type = cast_type(cast);
    node = cast["arg"];
  }
  const tree_node reference = node.as("ColumnRef");
  const auto parts = read_strings(reference["fields"]);
  if (parts.empty() || parts.size() != reference["fields"].size()) return false;  // t.*
  out.column = parts.back();
  out.column_type = std::move(type);
  return true;
}

std::optional<constant> read_constant(const conversion& c, tree_node node) {
  auto value = signed_constant_value(c, node);
  if (!value) return std::nullopt;
  return constant{std::move(*value), cast_type(node.as("TypeCast"))};
}

// IN (…), ARRAY[…]; the elements of a cast array have casts of their own.
bool read_constants(const conversion& c, tree_node node, std::vector<constant>& out) {
  while (const tree_node cast = node.as("TypeCast")) node = cast["arg"];
  const tree_node array = node.as("A_ArrayExpr");
  for (const tree_node item : array ? array["elements"] : node.as("List")["items"]) {
    auto value = read_constant(c, item);
    if (!value) return false;
    out.push_back(std::move(*value));
  }
  return !out.empty();
}

std::string mirrored(const std::string& op) {
  if (op == "<") return ">";
  if (op == "<=") return ">=";
  if (op == ">") return "<";
  if (op == ">=") return "<=";
  return op;
}

bool is_comparison(const std::string& op) {
  return op == "<" || op == "<=" || op == "=" || op == ">=" || op == ">" || op == "<>";
}

predicate compare(const predicate& column, std::string op, constant value) {
  predicate result;
  result.what = form::comparison;
  result.column = column.column;
  result.column_type = column.column_type;
  result.op = std::move(op);
  result.constants.push_back(std::move(value));
  return result;
}

predicate read_operator(const conversion& c, tree_node node) {
  const std::string kind = node["kind"].string();
  const auto names = read_strings(node["name"]);
  const std::string op = names.size() == 1 ? names.front() : std::string{};
  predicate column;
  if (kind == "AEXPR_OP") {
    const bool column_first = read_column(node["lexpr"], column);
    if (!column_first && !read_column(node["rexpr"], column)) return {};
    auto value = read_constant(c, node[column_first ? "rexpr" : "lexpr"]);
    if (!value || !is_comparison(op)) return {};
    return compare(column, column_first ? op : mirrored(op), std::move(*value));
  }
  if (!read_column(node["lexpr"], column)) return {};
  if ((kind == "AEXPR_OP_ANY" || kind == "AEXPR_IN") && op == "=") {
    column.what = form::one_of;
    return read_constants(c, node["rexpr"], column.constants) ? column : predicate{};
  }
  if (kind == "AEXPR_BETWEEN") {
    std::vector<constant> limits;
    if (!read_constants(c, node["rexpr"], limits) || limits.size() != 2) return {};
    predicate both;
    both.what = form::all_of;
    both.operands.push_back(compare(column, ">=", std::move(limits[0])));
    both.operands.push_back(compare(column, "<=", std::move(limits[1])));
    return both;
  }
  return {};
}

predicate read(const conversion& c, tree_node node, int depth) {
  predicate result;
  if (depth > deepest_predicate) return result;
  if (const tree_node boolean = node.as("BoolExpr")) {
    const std::string kind = boolean["boolop"].string();
    result.what = kind == "AND_EXPR" ? form::all_of : kind == "OR_EXPR" ? form::any_of : form::negation;
    for (const tree_node argument : boolean["args"]) result.operands.push_back(read(c, argument, depth + 1));
  } else if (const tree_node test = node.as("NullTest")) {
    if (read_column(test["arg"], result))
      result.what = test["nulltesttype"].string() == "IS_NULL" ? form::is_null : form::is_not_null;
  } else if (const tree_node operation = node.as("A_Expr")) {
    result = read_operator(c, operation);
  }
  return result;
}

}  // namespace

predicate read_predicate(const conversion& c, tree_node node) {
  return read(c, node, 0);
}

}  // namespace tidegate::sql
