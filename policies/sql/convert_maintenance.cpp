#include "policies/sql/conversion.hpp"

#include <utility>

namespace tidegate::sql {
namespace {

reindex read_reindex(const conversion& c, tree_node node) {
  reindex again;
  const std::string target = node["kind"].string();
  again.target = target == "REINDEX_OBJECT_INDEX"      ? reindex_target::index
                 : target == "REINDEX_OBJECT_SCHEMA"   ? reindex_target::schema
                 : target == "REINDEX_OBJECT_SYSTEM"   ? reindex_target::system
                 : target == "REINDEX_OBJECT_DATABASE" ? reindex_target::database
                                                       : reindex_target::table;
  again.relation = read_relation(c, node["relation"]);
  if (const std::string name = node["name"].string(); !name.empty()) again.relation.name = name;
  again.concurrently = option_is_on(find_option(node["params"], "concurrently"));
  again.verbose = option_is_on(find_option(node["params"], "verbose"));
  std::size_t i = 1;  // REINDEX [(options)] target
  if (c.tokens.is_char(i, '(')) i = c.tokens.closing(i) + 1;
  if (i < c.tokens.size()) again.after_target = c.shown(static_cast<position>(c.tokens[i].end));
  return again;
}

vacuum read_vacuum(const conversion& c, tree_node node) {
  vacuum cleaned;
  cleaned.is_vacuum = node["is_vacuumcmd"].boolean();
  cleaned.full = option_is_on(find_option(node["options"], "full"));
  for (const tree_node item : node["rels"])
    cleaned.relations.push_back(read_relation(c, item.as("VacuumRelation")["relation"]));
  return cleaned;
}

constexpr int row_exclusive = 3;  // LOCKMODE of what DML takes

}  // namespace

bool convert_maintenance(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  out.ddl = true;
  if (type == "ReindexStmt") {
    out.tag = "REINDEX";
    out.node = read_reindex(c, inside);
  } else if (type == "ClusterStmt") {
    cluster sorted;
    if (const tree_node relation = inside["relation"]) sorted.relation = read_relation(c, relation);
    sorted.index = inside["indexname"].string();
    out.tag = "CLUSTER";
    out.node = std::move(sorted);
  } else if (type == "VacuumStmt") {
    vacuum cleaned = read_vacuum(c, inside);
    out.tag = cleaned.is_vacuum ? "VACUUM" : "ANALYZE";
    out.ddl = cleaned.full;
    out.node = std::move(cleaned);
  } else if (type == "TruncateStmt") {
    truncate emptied;
    emptied.relations = read_relations(c, inside["relations"]);
    emptied.cascade = inside["behavior"].string() == "DROP_CASCADE";
    emptied.restart_identity = inside["restart_seqs"].boolean();
    out.tag = "TRUNCATE TABLE";
    out.node = std::move(emptied);
  } else if (type == "LockStmt") {
    lock_table locked;
    locked.relations = read_relations(c, inside["relations"]);
    locked.mode = static_cast<int>(inside["mode"].integer(locked.mode));
    locked.nowait = inside["nowait"].boolean();
    out.tag = "LOCK TABLE";
    out.ddl = locked.mode > row_exclusive;
    out.node = std::move(locked);
  } else if (type == "RefreshMatViewStmt") {
    refresh_materialized_view refreshed;
    refreshed.relation = read_relation(c, inside["relation"]);
    refreshed.concurrently = inside["concurrent"].boolean();
    refreshed.with_no_data = inside["skipData"].boolean();
    out.tag = "REFRESH MATERIALIZED VIEW";
    out.node = std::move(refreshed);
  } else {
    out.ddl = false;
    return false;
  }
  return true;
}

}  // namespace tidegate::sql
