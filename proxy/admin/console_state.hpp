#pragma once
// What the gateway keeps for the admin console, one per process. Each part is thread-safe in its own way.

#include "proxy/admin/database_switches.hpp"
#include "proxy/admin/ddl_board.hpp"
#include "proxy/admin/recent_findings.hpp"
#include "proxy/admin/stats_history.hpp"

#include <atomic>

namespace tidegate::admin {

struct console_state {
  explicit console_state(core::gate& gate) : switches(gate), stats(std::chrono::steady_clock::now()) {}

  database_switches switches;
  recent_findings findings;
  ddl_board ddl;
  stats_history stats;
  std::atomic<unsigned> sessions{0};  // consoles that are open
};

}  // namespace tidegate::admin
