#include "policies/sql/conversion.hpp"
#include "policies/sql/plpgsql_body.hpp"

#include <memory>
#include <utility>

namespace tidegate::sql {
namespace {

std::string_view query_tag(dml_kind kind) {
  switch (kind) {
    case dml_kind::insert:
      return "INSERT";
    case dml_kind::update:
      return "UPDATE";
    case dml_kind::delete_:
      return "DELETE";
    case dml_kind::merge:
      return "MERGE";
    case dml_kind::select:
    case dml_kind::values:
      break;
  }
  return "SELECT";
}

copy read_copy(const conversion& c, tree_node node) {
  copy moved;
  if (const tree_node relation = node["relation"]) moved.relation = read_relation(c, relation);
  moved.from = node["is_from"].boolean();
  moved.program = node["is_program"].boolean();
  if (const tree_node body = node["query"]) moved.body = read_query(c, body);
  return moved;
}

void convert_do(const conversion& c, tree_node node, statement& out) {
  std::string language = find_option(node["args"], "language")["arg"].as("String")["sval"].string();
  if (language.empty()) language = "plpgsql";
  const std::string body = find_option(node["args"], "as")["arg"].as("String")["sval"].string();
  do_block block;
  if (language == "plpgsql") {
    block = read_plpgsql_body(body, c.options, c.nesting);
  } else {
    block.opaque = true;
  }
  block.language = std::move(language);
  out.ddl = block.opaque || block.has_dynamic_sql;
  for (const statement& inner : block.statements) out.ddl = out.ddl || inner.ddl;
  out.tag = "DO";
  out.node = std::move(block);
}

// The body of PREPARE or EXPLAIN. Its range is the text from its first keyword on.
std::unique_ptr<statement> read_body(const conversion& c, tree_node node, std::size_t from) {
  auto body = std::make_unique<statement>(convert_statement(c, node));
  body->range = c.shown(c.tokens.range(from, c.tokens.size()));
  return body;
}

void convert_explain(const conversion& c, tree_node node, statement& out) {
  explain explained;
  explained.analyze = option_is_on(find_option(node["options"], "analyze"));
  std::size_t from = 1;
  if (c.tokens.is_char(from, '(')) {
    const std::size_t behind = c.tokens.closing(from) + 1;
    // EXPLAIN (SELECT 1): the brackets are the query's.
    if (!c.tokens.is_any_word(from + 1, {"select", "with", "values", "table"}) &&
        !c.tokens.is_char(from + 1, '('))
      from = behind;
  } else {
    while (c.tokens.is_any_word(from, {"analyze", "analyse", "verbose"})) ++from;
  }
  explained.body = read_body(c, node["query"], from);
  out.ddl = explained.analyze && explained.body->ddl;
  out.tag = "EXPLAIN";
  out.node = std::move(explained);
}

void convert_prepare(const conversion& c, tree_node node, statement& out) {
  prepare prepared;
  prepared.name = node["name"].string();
  std::size_t from = c.tokens.behind_name(1);
  if (c.tokens.is_char(from, '(')) from = c.tokens.closing(from) + 1;
  if (c.tokens.is_word(from, "as")) ++from;
  prepared.body = read_body(c, node["query"], from);
  out.ddl = prepared.body->ddl;
  out.tag = "PREPARE";
  out.node = std::move(prepared);
}

}  // namespace

bool convert_data(const conversion& c, tree_node node, statement& out) {
  const std::string_view type = node.type();
  const tree_node inside = node.first();
  if (type == "SelectStmt" || type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt" ||
      type == "MergeStmt") {
    query data = read_query(c, node);
    out.tag = query_tag(data.kind);
    out.node = std::move(data);
  } else if (type == "DeclareCursorStmt") {
    out.tag = "DECLARE CURSOR";
    out.node = read_query(c, inside["query"]);
  } else if (type == "CopyStmt") {
    out.tag = "COPY";
    out.node = read_copy(c, inside);
  } else if (type == "DoStmt") {
    convert_do(c, inside, out);
  } else if (type == "PrepareStmt") {
    convert_prepare(c, inside, out);
  } else if (type == "ExecuteStmt") {
    out.tag = "EXECUTE";
    out.node = execute{inside["name"].string()};
  } else if (type == "ExplainStmt") {
    convert_explain(c, inside, out);
  } else if (type == "CallStmt") {
    out.tag = "CALL";
    out.node = call{read_function(c, inside["funccall"])};
  } else {
    return false;
  }
  return true;
}

}  // namespace tidegate::sql
