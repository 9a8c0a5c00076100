#pragma once
// The audit log: JSON lines, appended to a file or to stderr by a thread of its own. record() never blocks
// and never fails; a record that cannot be kept (queue full, disk full) is counted, and the next line written
// tells how many are missing. Any thread may record.

#include "config/settings.hpp"
#include "proxy/audit/audit_record.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace tidegate::metrics {
struct process_metrics;
}

namespace tidegate::audit {

// Lines that wait for the writer: both bounds hold.
inline constexpr std::size_t max_queued_records = 10'000;
inline constexpr std::size_t max_queued_bytes = std::size_t{16} << 20;

class audit_log {
 public:
  // Opens the target; throws std::system_error with the file's name. `metrics` outlives the log.
  audit_log(const config::audit_settings& settings, metrics::process_metrics& metrics);
  // Writes what is queued, as far as the target takes it.
  ~audit_log();
  audit_log(const audit_log&) = delete;

  // Queues the record, unless the target is off.
  void record(const audit_record& record);
  // Calls `hear` with every record, whatever the target, on the thread that records it. Before the first
  // record.
  void tell(std::function<void(const audit_record&)> hear) { hear_ = std::move(hear); }

  // Takes other settings, on reload. Throws as the constructor does, and then goes on as before.
  void configure(const config::audit_settings& settings);

  // Opens the file again under its name, after rotation: before the next line is written.
  void reopen();

  // Returns when all that was recorded before has been written or counted as lost.
  void flush();

 private:
  class target;

  void run();

  metrics::process_metrics& metrics_;
  std::function<void(const audit_record&)> hear_;
  std::mutex mutex_;  // over everything below but the thread
  std::condition_variable changed_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t lost_ = 0;          // records since the last line that told
  std::uint64_t recorded_ = 0;      // ever queued
  std::uint64_t done_ = 0;          // of those, written or lost
  std::shared_ptr<target> target_;  // null: off
  bool is_reopen_wanted_ = false;
  bool is_ending_ = false;
  std::thread writer_;
};

}  // namespace tidegate::audit
