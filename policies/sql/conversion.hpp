#pragma once
// From the parser's tree to statement.hpp's values, one statement at a time. Internal to policies/sql.

#include "policies/sql/json_tree.hpp"
#include "policies/sql/newer_syntax.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/predicate.hpp"
#include "policies/sql/statement.hpp"
#include "policies/sql/token_list.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

struct conversion {
  const token_list& tokens;                    // of the statement
  position offset = 0;                         // of the parsed text in the query string
  const std::vector<adaptation>& adaptations;  // what was changed before parsing
  const parse_options& options;                // for text inside the statement (DO)
  int nesting = 0;                             // 0: the query string itself; else text inside a text

  // A node's location in the query string; -1 when it has none.
  position at(tree_node node) const;
  // What the values show: text inside a text has no positions in the query string.
  position shown(position at) const { return nesting == 0 ? at : -1; }
  text_range shown(text_range range) const { return nesting == 0 ? range : text_range{-1, -1}; }
  // Whether an adaptation of this kind begins in the range.
  bool adapted(adaptation_kind kind, text_range range) const;
};

// The tree's values (value.cpp)
qualified_name read_relation(const conversion& c, tree_node range_var);
std::vector<qualified_name> read_relations(const conversion& c, tree_node list);  // of RangeVar nodes
qualified_name name_from_parts(const std::vector<std::string>& parts);            // [[database.]schema.]name
// A list of String nodes; a List or a lone String counts as one.
std::vector<std::string> read_strings(tree_node list);
std::string read_role(tree_node role_spec);
std::optional<std::string> constant_value(tree_node node);  // of an A_Const, possibly cast
// The same with the sign of integers: libpg_query prints negative ones without their value, as it prints 0.
std::optional<std::string> signed_constant_value(const conversion& c, tree_node node);
bool option_is_on(tree_node def_elem);                         // (VERBOSE), (VERBOSE true), (FULL 0)
tree_node find_option(tree_node list, std::string_view name);  // a DefElem of the list
std::vector<storage_option> read_options(tree_node list);      // of DefElem nodes: SET (…), WITH (…)
object_kind object_kind_of(std::string_view parser_name);      // "OBJECT_TABLE"

// Expressions (expression.cpp). `from` and `end` are the tokens that spell it.
type_name read_type(const conversion& c, tree_node node);
// Appends the constant of 'a'::t; nothing when what is cast is no string.
void read_typed_literal(const conversion& c, tree_node type_cast, std::vector<typed_literal>& out);
function_call read_function(const conversion& c, tree_node func_call);
expression read_expression(const conversion& c, tree_node node, std::size_t from, std::size_t end);
// The name that PostgreSQL gives a column made of it (FigureIndexColname); empty: none.
std::string figured_name(tree_node node);

predicate read_predicate(const conversion& c, tree_node node);  // predicate.cpp

// Definitions (definition.cpp)
column_definition read_column(const conversion& c, tree_node column_def);
constraint_definition read_constraint(const conversion& c, tree_node constraint, std::size_t end);

// A PartitionBoundSpec whose first word, FOR or DEFAULT, is the token `from` (partition_bound.cpp); `behind`
// is the token behind it.
partition_bound read_partition_bound(const conversion& c, tree_node bound, std::size_t from,
                                     std::size_t& behind);

// Queries (query.cpp): a wrapper node of SelectStmt, InsertStmt, UpdateStmt, DeleteStmt, MergeStmt.
query read_query(const conversion& c, tree_node node);
// Every relation under a node, in no query's scope.
std::vector<qualified_name> relations_under(const conversion& c, tree_node node);

// Families of statements: each fills in node, tag and ddl when the parser's node is one of its own.
bool convert_alter_table(const conversion& c, tree_node node, statement& out);
bool convert_create(const conversion& c, tree_node node, statement& out);
bool convert_drop(const conversion& c, tree_node node, statement& out);
bool convert_rename(const conversion& c, tree_node node, statement& out);
bool convert_rights(const conversion& c, tree_node node, statement& out);
bool convert_maintenance(const conversion& c, tree_node node, statement& out);
bool convert_session(const conversion& c, tree_node node, statement& out);
bool convert_data(const conversion& c, tree_node node, statement& out);

// Any statement; what no family knows is other_statement.
statement convert_statement(const conversion& c, tree_node node);

}  // namespace tidegate::sql
