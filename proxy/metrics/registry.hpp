#pragma once
// Owns everything that is counted and renders it for /metrics. One per process (tests make their own);
// outlives every session and thread. Scraping adds the threads' counters up while they go on counting: no
// thread waits for a scrape except a login that meets one.

#include "proxy/metrics/metrics.hpp"
#include "proxy/metrics/thread_metrics.hpp"
#include "proxy/metrics/totals.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::metrics {

// So many databases, and so many pairs of database and user, get labels of their own.
inline constexpr std::size_t max_label_values = 1'000;

class registry {
 public:
  explicit registry(std::string version);
  ~registry();
  registry(const registry&) = delete;

  // Counters for one thread, valid as long as the registry. Any thread may ask.
  thread_metrics& add_thread();

  process_metrics& process() { return process_; }

  // A metric without labels whose number somebody else keeps (the listener's counters): `read` is asked on
  // each scrape, on any thread, until the registry ends; it must not call the registry.
  void read_from(metric m, std::function<double()> read);

  // The databases that have had a client, in no order. Any thread, at any time.
  std::vector<database_totals> totals() const;

  // All families in Prometheus' text format 0.0.4. Any thread, at any time.
  std::string render() const;

 private:
  friend struct thread_metrics;
  friend struct session_metrics;
  class collector;
  struct labels;

  std::size_t intern_database(std::string_view name);  // under the lock
  session_metrics session(thread_metrics& thread, std::string_view database, std::string_view user);
  database_metrics& database(thread_metrics& thread, std::string_view name);
  void count_ddl(std::size_t database_label, std::string_view rule, ddl_action action);

  process_metrics process_;
  std::unique_ptr<labels> labels_;
};

}  // namespace tidegate::metrics
