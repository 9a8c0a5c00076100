#pragma once
// What a transaction did so far that later statements are judged by: relations, types and functions it made,
// constraints it added unvalidated, values it added to enums, tables it locked strongly. Savepoints are
// followed. The session feeds it with statements that succeeded; `check` with every statement.

#include "policies/catalog.hpp"
#include "policies/lock_level.hpp"
#include "policies/sql/statement.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace tidegate::policies {

class transaction_history {
 public:
  struct entry {
    enum class kind {
      created_relation,
      created_temporary,
      created_object,
      dropped_relation,
      strong_lock,
      not_valid_constraint,
      added_enum_value,
      created_policy,
      changed_view,  // its columns may have other names now
      wrote_rows,
      savepoint,
      began
    } what;
    sql::qualified_name relation;  // as written; of strong_lock: as the catalog knows it, where it does;
                                   // or a type, a function
    std::string name;              // constraint, savepoint, value
    lock_level lock = lock_level::none;  // of strong_lock
    bool may_have_existed = false;       // added_enum_value: IF NOT EXISTS
  };

  // One statement ran (in the gateway: succeeded). `existed` says that CREATE … IF NOT EXISTS found the
  // relation there already. `catalog` has the facts it was judged by.
  void add(const sql::statement& statement, bool existed = false, const catalog_snapshot& catalog = {});
  // The transaction ended: by COMMIT, ROLLBACK, or as the implicit transaction of a message.
  void clear();
  // The catalog is about to be read under these names: what was made before is its to tell. It knows better:
  // parts of the transaction may have been rolled back unseen, and names may mean something else by now.
  void leave_the_past_to_the_catalog() { made_since_ = entries_.size(); }
  // The same where no catalog can be read: a name may still not mean a temporary relation any more.
  void forget_temporary_relations();

  // By this transaction since then, and not dropped again.
  bool created(const sql::qualified_name& relation) const;
  bool created_temporary(const sql::qualified_name& relation) const;
  bool added_not_valid(const sql::qualified_name& relation, std::string_view constraint) const;
  bool created_object(const sql::qualified_name& type_or_function) const;
  bool created_policy(const sql::qualified_name& relation) const;
  bool has_strong_lock() const;
  bool has_strong_lock_on_other(const sql::qualified_name& relation) const;
  bool in_transaction() const { return open_; }  // from the text alone: BEGIN was seen
  const std::vector<entry>& entries() const { return entries_; }

 private:
  std::vector<entry> entries_;
  std::size_t made_since_ = 0;
  bool open_ = false;
};

}  // namespace tidegate::policies
