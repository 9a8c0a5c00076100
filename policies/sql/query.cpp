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
    if (kind == "UpdateStmt" && !filters(node["whereClause"])) out_.unbounded_update = true;
    if (kind == "DeleteStmt" && !filters(node["whereClause"])) out_.unbounded_delete = true;
  }

  // A condition that looks at nothing (WHERE true, WHERE 1 = 1) filters nothing.
  static bool filters(tree_node condition) {
    if (!condition) return false;
    std::vector<tree_node> open{condition};
    while (!open.empty()) {
      const tree_node here = open.back();
      open.pop_back();
      const std::string_view kind = here.key();
      if (kind == "ColumnRef" || kind == "ParamRef" || kind == "SubLink" || kind == "FuncCall" ||
          kind == "CurrentOfExpr" || kind == "SQLValueFunction")
        return true;
      for (const tree_node child : here) {
        if (child.first()) open.push_back(child);
      }
    }
    return false;
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
