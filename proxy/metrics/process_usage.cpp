#include "proxy/metrics/process_usage.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <sys/resource.h>
#include <unistd.h>

namespace tidegate::metrics {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

process_usage read_process_usage() {
  process_usage usage;
  if (rusage own{}; ::getrusage(RUSAGE_SELF, &own) == 0) {
    usage.cpu_seconds = seconds(own.ru_utime) + seconds(own.ru_stime);
  }
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_fds = limit.rlim_cur;
  // proc(5): the second number of statm is the resident set in pages
  std::uint64_t total_pages = 0, resident_pages = 0;
  if (std::ifstream statm("/proc/self/statm"); statm >> total_pages >> resident_pages) {
    usage.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  std::error_code failed;
  for (std::filesystem::directory_iterator fds("/proc/self/fd", failed), end; !failed && fds != end;
       fds.increment(failed)) {
    ++usage.open_fds;
  }
  return usage;
}

}  // namespace tidegate::metrics
