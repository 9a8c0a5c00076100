#pragma once
// Which facts a statement needs, read off its tree. The gateway resolves the names on the client's own
// connection and reads the facts over its own (docs/way_of_a_query.md).

#include "policies/sql/statement.hpp"

#include <vector>

namespace tidegate::policies {

struct fact_request {
  std::vector<sql::qualified_name>
      relations;  // tables, views, indexes, sequences: anything in pg_class; each name once
  std::vector<sql::type_name> types;
  std::vector<sql::function_call> functions;
  bool users_of_domains = false;  // of the domains among `types` the tables with a column of them as well

  bool session = false;  // its search_path: where something without a schema is made

  bool empty() const { return relations.empty() && types.empty() && functions.empty() && !session; }
};

fact_request facts_needed(const sql::statement& statement);
// Of several statements, each name once.
fact_request facts_needed(const std::vector<sql::statement>& statements);
fact_request facts_needed(const std::vector<const sql::statement*>& statements);

}  // namespace tidegate::policies
