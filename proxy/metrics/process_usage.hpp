#pragma once
// What the kernel says of this process, for /metrics. Any thread.

#include <cstdint>

namespace tidegate::metrics {

struct process_usage {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
};

// Reads it from the kernel; what can't be had is 0.
process_usage read_process_usage();

}  // namespace tidegate::metrics
