#pragma once
// What the decisions of a session remember from one statement to the next. Sessions that never ran anything
// suspicious have none.

#include "policies/transaction_history.hpp"
#include "proxy/session/ddl_trail.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace tidegate::session {

struct session_memory {
  policies::transaction_history history;  // of the transaction with the number below
  std::uint64_t transaction = 0;          // client_session::transactions() when it was written
  // Since when this transaction has held a strong lock on a relation that others use.
  std::optional<std::chrono::steady_clock::time_point> holding_since;
  ddl_trail trail;  // outlives the transaction until it is settled

  // Forgets what an earlier transaction did.
  void enter(std::uint64_t current) {
    if (transaction == current) return;
    history.clear();
    holding_since.reset();
    transaction = current;
  }
};

}  // namespace tidegate::session
