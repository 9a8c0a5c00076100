#pragma once
// What a transaction did so far that later statements are judged by: relations it made, constraints it added
// unvalidated, objects it locked strongly. Savepoints are followed. The session feeds it with statements that
// succeeded; `check` with every statement.

#include "policies/sql/statement.hpp"

#include <string>
#include <vector>

namespace tidegate::policies {

class transaction_history {
 public:
  struct entry {
    enum class kind {
      created_relation,
      created_temporary,
      dropped_relation,
      strong_lock,
      not_valid_constraint,
      wrote_rows,
      savepoint,
      began
    } what;
    sql::qualified_name relation;  // as written
    std::string name;              // constraint, savepoint
  };

  // One statement ran (in the gateway: succeeded). `existed` says that CREATE … IF NOT EXISTS found the
  // relation there already.
  void add(const sql::statement& statement, bool existed = false);
  // The transaction ended: by COMMIT, ROLLBACK, or as the implicit transaction of a message.
  void clear();

  bool created(const sql::qualified_name& relation) const;  // by this transaction, and not dropped since
  bool added_not_valid(const sql::qualified_name& relation, std::string_view constraint) const;
  bool has_strong_lock() const;
  bool has_strong_lock_on_other(const sql::qualified_name& relation) const;
  bool in_transaction() const { return open_; }  // from the text alone: BEGIN was seen
  const std::vector<entry>& entries() const { return entries_; }

 private:
  std::vector<entry> entries_;
  bool open_ = false;
};

}  // namespace tidegate::policies
