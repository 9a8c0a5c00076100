#include "policies/sql/conversion.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::sql {
namespace {

constexpr std::size_t no_scope = static_cast<std::size_t>(-1);

struct cte_scope {
  std::size_t outer = no_scope;
  std::string name;
};

// A node still to be looked at, with the CTE names it may use.
struct pending_node {
  tree_node node;
  std::size_t scope = no_scope;
};

// What a condition says to every row alike; `filters`: it looks at the row, or can't be told here.
enum class sameness { filters, always, never };

sameness negated(sameness of) {
  return of == sameness::always ? sameness::never : of == sameness::never ? sameness::always : of;
}

sameness same(bool truth) {
  return truth ? sameness::always : sameness::never;
}

// 1 = 1, 'a' <> 'b': two constants of one kind.
sameness compare_constants(tree_node comparison) {
  const tree_node left = comparison["lexpr"].as("A_Const"), right = comparison["rexpr"].as("A_Const");
  const std::vector<std::string> name = read_strings(comparison["name"]);
  if (!left || !right || name.size() != 1 || left.first().key() != right.first().key())
    return sameness::filters;
  const auto a = constant_value(comparison["lexpr"]), b = constant_value(comparison["rexpr"]);
  if (!a || !b) return sameness::filters;
  if (name[0] == "=") return same(*a == *b);
  if (name[0] == "<>") return same(*a != *b);
  return sameness::filters;
}

// Nesting deeper than anybody writes is not followed.
constexpr int deepest_condition = 50;

sameness sameness_of(tree_node condition, int depth = 0) {
  if (depth > deepest_condition) return sameness::filters;
  if (condition.as("A_Const")["isnull"].boolean()) return sameness::never;
  if (condition.as("A_Const") || condition.as("TypeCast")) {  // true, 't', 't'::bool
    const std::string value = constant_value(condition).value_or("");
    if (value == "t" || value == "true") return sameness::always;
    if (value == "f" || value == "false") return sameness::never;
    return sameness::filters;
  }
  if (const tree_node comparison = condition.as("A_Expr"))
    return comparison["kind"].string() == "AEXPR_OP" ? compare_constants(comparison) : sameness::filters;
  const tree_node boolean = condition.as("BoolExpr");
  if (!boolean) return sameness::filters;
  const std::string kind = boolean["boolop"].string();
  if (kind == "NOT_EXPR") {
    const tree_node inside = boolean["args"].first();
    // NOT NULL is NULL
    return inside.as("A_Const")["isnull"].boolean() ? sameness::never
                                                    : negated(sameness_of(inside, depth + 1));
  }
  const sameness settles = kind == "AND_EXPR" ? sameness::never : sameness::always;
  sameness all = negated(settles);
  for (const tree_node argument : boolean["args"]) {
    const sameness one = sameness_of(argument, depth + 1);
    if (one == settles) return settles;
    if (one == sameness::filters) all = sameness::filters;
  }
  return all;
}

class query_reader {
 public:
  query_reader(const conversion& c, query& out) : c_(c), out_(out) {}

  void read(tree_node root) {
    open_.push_back({root, no_scope});
    while (!open_.empty()) {
      const pending_node here = open_.back();
      open_.pop_back();
      visit(here);
    }
    // Met from the back: put in the order of the text.
    std::reverse(out_.relations.begin(), out_.relations.end());
    std::reverse(out_.functions.begin(), out_.functions.end());
    std::reverse(out_.targets.begin(), out_.targets.end());
    std::reverse(out_.whole_changes.begin(), out_.whole_changes.end());
  }

 private:
  void visit(const pending_node& here) {
    const std::string_view kind = here.node.key();
    const bool modifies =
        kind == "InsertStmt" || kind == "UpdateStmt" || kind == "DeleteStmt" || kind == "MergeStmt";
    if (const tree_node relation_name = here.node["relname"]) {
      qualified_name relation = read_relation(c_, here.node);
      if (!relation.schema.empty() || !is_cte(relation.name, here.scope))
        out_.relations.push_back(std::move(relation));
      return;
    }
    if (kind == "FuncCall" || kind == "funccall") out_.functions.push_back(read_function(c_, here.node));
    if (kind == "TypeCast") read_typed_literal(c_, here.node, out_.literals);
    if (modifies) note_target(here.node, kind);
    std::size_t scope = here.scope;
    if (const tree_node with = here.node["withClause"]) scope = open_ctes(with, scope);
    for (const tree_node child : here.node) {
      if (child.key() == "withClause" || !child.first()) continue;
      // What is written to is never a CTE.
      const bool target = modifies && child.key() == "relation";
      open_.push_back({child, target ? no_scope : scope});
    }
  }

  void note_target(tree_node node, std::string_view kind) {
    qualified_name target = read_relation(c_, node["relation"]);
    const bool settings =
        target.name == "pg_settings" && (target.schema.empty() || target.schema == "pg_catalog");
    out_.sets_settings = out_.sets_settings || settings;
    out_.targets.push_back(std::move(target));
    if (kind == "InsertStmt") {
      const tree_node source = node["selectStmt"].as("SelectStmt");
      out_.inserts_query = out_.inserts_query || (source && !source["valuesLists"]);
    } else if (kind != "MergeStmt") {
      note_whole_change(node, kind == "UpdateStmt" ? dml_kind::update : dml_kind::delete_);
    }
  }

  void note_whole_change(tree_node node, dml_kind kind) {
    const tree_node where = node["whereClause"];
    if (where && sameness_of(where) != sameness::always) return;
    whole_change change;
    change.kind = kind;
    change.relation = read_relation(c_, node["relation"]);
    change.only = !node["relation"]["inh"].boolean();
    change.has_where = static_cast<bool>(where);
    change.plain = !where && !node["fromClause"] && !node["usingClause"] && !node["returningList"] &&
                   !node["withClause"] && scopes_.empty();
    out_.whole_changes.push_back(std::move(change));
  }

  bool is_cte(const std::string& name, std::size_t scope) const {
    for (; scope != no_scope; scope = scopes_[scope].outer) {
      if (scopes_[scope].name == name) return true;
    }
    return false;
  }

  // Opens the queries of a WITH; the scope of the statement's own body. A query sees the names before it, or
  // all of them under RECURSIVE.
  std::size_t open_ctes(tree_node with, std::size_t scope) {
    const bool recursive = with["recursive"].boolean();
    const auto add = [&](tree_node cte) {
      scopes_.push_back({scope, cte["ctename"].string()});
      scope = scopes_.size() - 1;
    };
    if (recursive) {
      for (const tree_node item : with["ctes"]) add(item.as("CommonTableExpr"));
    }
    for (const tree_node item : with["ctes"]) {
      const tree_node cte = item.as("CommonTableExpr");
      open_.push_back({cte["ctequery"], scope});
      if (!recursive) add(cte);
    }
    return scope;
  }

  const conversion& c_;
  query& out_;
  std::vector<pending_node> open_;
  std::vector<cte_scope> scopes_;
};

dml_kind kind_of(tree_node node) {
  const std::string_view type = node.type();
  if (type == "InsertStmt") return dml_kind::insert;
  if (type == "UpdateStmt") return dml_kind::update;
  if (type == "DeleteStmt") return dml_kind::delete_;
  if (type == "MergeStmt") return dml_kind::merge;
  return node.first()["valuesLists"] ? dml_kind::values : dml_kind::select;
}

}  // namespace

query read_query(const conversion& c, tree_node node) {
  query result;
  result.kind = kind_of(node);
  query_reader(c, result).read(node);
  return result;
}

std::vector<qualified_name> relations_under(const conversion& c, tree_node node) {
  query all;
  query_reader(c, all).read(node);
  return std::move(all.relations);
}

}  // namespace tidegate::sql
