#pragma once
// What the decisions of a session remember from one statement to the next. Sessions that never ran anything
// suspicious have none.

#include "policies/transaction_history.hpp"
#include "proxy/session/ddl_trail.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tidegate::session {

class deferred_ddl;

struct session_memory {
  policies::transaction_history history;  // of the transaction with the number below
  std::uint64_t transaction = 0;          // client_session::transactions() when it was written
  // Since when this transaction has held a strong lock on a relation that others use.
  std::optional<std::chrono::steady_clock::time_point> holding_since;
  // For the end of the transaction, which they outlive until it has been dealt with:
  ddl_trail trail;
  std::vector<std::string> owed;           // statements of ours, of client_session::run_when_at_rest()
  bool schema_changes = false;             // others have to hear of it
  std::unique_ptr<deferred_ddl> deferred;  // null: nothing was

  session_memory();
  ~session_memory();

  bool owes() const { return !owed.empty() || !trail.empty(); }

  // Forgets what an earlier transaction did.
  void enter(std::uint64_t current) {
    if (transaction == current) return;
    history.clear();
    holding_since.reset();
    transaction = current;
  }
};

}  // namespace tidegate::session
