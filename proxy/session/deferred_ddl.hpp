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
  // The one that waits for its COMMIT; not when empty.
  std::int64_t transaction() const { return waiting_.front().statement.transaction; }
  void keep(background_statement statement, std::uint64_t number) {
    waiting_.push_back({std::move(statement), number});
  }

  struct settled {
    std::vector<background_statement> standing;
    std::vector<background_statement> withdrawn;
  };
  // The transaction has ended. `marks`: the setting.
  settled settle(const std::string& marks);
  // … and nobody can tell how.
  std::vector<background_statement> abandon();

 private:
  struct one {
    background_statement statement;
    std::uint64_t number = 0;
  };
  std::vector<one> waiting_;
};

}  // namespace tidegate::session
