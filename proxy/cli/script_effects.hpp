#pragma once
// What the statements of a file did so far, as far as later ones are judged by it: relations they made,
// renamed or dropped, constraints and columns they changed, settings they set. Laid over the facts of the
// database, which knows none of it. Pure.

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"
#include "policies/sql/statement.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidegate::cli {

class script_effects {
 public:
  // The request with names as the file's own search_path finds them added.
  policies::fact_request widen(policies::fact_request request) const;

  // Puts what the file did over the facts of `request`.
  void apply_to(policies::catalog_snapshot& snapshot, const policies::fact_request& request) const;

  // CREATE … IF NOT EXISTS or OR REPLACE finds its relation there, or may.
  bool may_exist_before(const sql::statement& statement, const policies::catalog_snapshot& snapshot) const;

  // The statement ran; `snapshot` has the facts it was judged by.
  void add(const sql::statement& statement, const policies::catalog_snapshot& snapshot);

  bool standard_conforming_strings() const;
  // As the file set it; empty: it did not.
  std::optional<std::string> setting(const std::string& name) const;

 private:
  // A relation as the file left it: facts, gone, or there without facts (renamed from an unknown one).
  struct relation_state {
    enum class kind { known, gone, unknown } what = kind::unknown;
    policies::relation_facts facts;
  };
  struct state {
    std::map<std::string, relation_state> relations;  // by full name
    std::map<std::string, std::string> settings;
  };

  std::vector<std::string> full_names(const sql::qualified_name& written) const;
  const relation_state* find(const sql::qualified_name& written) const;
  std::string creation_name(const sql::qualified_name& written, bool temporary) const;

  void transaction(const sql::transaction& statement);
  void set(const sql::variable_set& statement);
  void remember(policies::relation_facts facts);
  void forget(const std::string& full_name);
  void create(const sql::qualified_name& relation, policies::relation_facts facts, bool temporary);
  void create_table(const sql::create_table& statement);
  void create_index(const sql::create_index& statement, const policies::catalog_snapshot& snapshot);
  void alter(const sql::alter_table& statement, const policies::catalog_snapshot& snapshot);
  void alter_partitions(policies::relation_facts& parent, const sql::alter_command& command,
                        const policies::catalog_snapshot& snapshot);
  void count_policies(const sql::qualified_name& relation, int more,
                      const policies::catalog_snapshot& snapshot);
  void rename(const sql::rename& statement, const policies::catalog_snapshot& snapshot);
  void move(const sql::set_schema& statement, const policies::catalog_snapshot& snapshot);
  void drop(const sql::drop& statement, const policies::catalog_snapshot& snapshot);
  void replace(const sql::qualified_name& from, const sql::qualified_name& to,
               const policies::catalog_snapshot& snapshot);

  state now_;
  std::map<std::string, std::string> local_before_;  // what SET LOCAL replaced; empty text: nothing
  std::optional<state> at_begin_;                    // set inside a transaction block
};

}  // namespace tidegate::cli
