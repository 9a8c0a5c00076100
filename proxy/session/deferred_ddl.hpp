#pragma once
// Statements of an open transaction that are carried out once it is committed. Whether one stands is told by
// the same witness as the ledger's changes (ddl_trail.hpp): its number in a setting that PostgreSQL takes
// back with the transaction, and with each savepoint. Pure; one per session.

#include "proxy/session/background_statement.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::session {

class deferred_ddl {
 public:
  static constexpr std::size_t most = 100;  // of one transaction

  bool full() const { return waiting_.size() >= most; }
  bool empty() const { return waiting_.empty(); }
  // A query of one text for settle(): which of their transactions are committed. Not when empty.
  std::string ask_committed() const;
  void keep(background_statement statement, std::uint64_t number) {
    waiting_.push_back({std::move(statement), number});
  }

  struct settled {
    std::vector<background_statement> standing;
    std::vector<background_statement> withdrawn;  // rolled back
    std::vector<background_statement> unsettled;  // nobody can tell: prepared, for one
  };
  // The transaction has ended. `marks`: the setting; `committed`: the answer. None: they could not be read.
  settled settle(const std::optional<std::string>& marks, const std::optional<std::string>& committed);

 private:
  struct one {
    background_statement statement;
    std::uint64_t number = 0;
  };
  std::vector<one> waiting_;
};

}  // namespace tidegate::session
