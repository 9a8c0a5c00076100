#pragma once
// Writes the ledger in the background: whoever records never waits. A thread of its own with a bounded queue
// for each database; what can't be kept or written is counted and logged.

#include "proxy/control/control_plane.hpp"
#include "proxy/control/ddl_ledger.hpp"

#include <chrono>
#include <cstddef>
#include <memory>

namespace tidegate::metrics {
struct process_metrics;
}

namespace tidegate::control {

class ledger_writer {
 public:
  // Rows that wait: a message can bring as many statements as are judged in one. All three bounds hold.
  static constexpr std::size_t most_per_database = 10'000;
  static constexpr std::size_t most = 20'000;
  static constexpr std::size_t most_bytes = 64 * 1024 * 1024;

  // Both outlive it.
  ledger_writer(control_plane& plane, metrics::process_metrics& metrics);
  // What is not written by then is lost, and counted. The plane has to be stopped before, so that nothing
  // that is on its way is waited for.
  ~ledger_writer();
  ledger_writer(const ledger_writer&) = delete;
  ledger_writer& operator=(const ledger_writer&) = delete;

  // Any thread. A database that can't be reached is tried again until it can, with pauses up to 15 s.
  void record(const control_target& target, ddl_entry entry);
  // A row that could not be kept by whoever would have recorded it.
  void lost();
  // Waits until nothing is queued, or so long.
  void flush(std::chrono::milliseconds at_most);

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace tidegate::control
