#pragma once
// What SHOW STATS averages over: the totals at the two ends of the last full period of a minute; before the
// first has passed, since the start. Any thread.

#include "proxy/metrics/totals.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tidegate::admin {

struct database_stats {
  metrics::database_totals total;
  metrics::database_totals period;  // what came within the period
  double period_seconds = 0;        // 0: nothing can be said yet
};

class stats_history {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds period{60};

  explicit stats_history(clock::time_point started) : begin_at_(started), end_at_(started) {}

  // Call it every few seconds; `read` is called once a period.
  template <typename Read>
  void tick(clock::time_point now, Read read) {
    const std::lock_guard lock(mutex_);
    if (now - end_at_ < period) return;
    begin_ = std::move(end_);
    begin_at_ = end_at_;
    end_ = by_name(read());
    end_at_ = now;
  }

  std::vector<database_stats> stats(std::vector<metrics::database_totals> now_totals,
                                    clock::time_point now) const;

 private:
  using named = std::map<std::string, metrics::database_totals>;
  static named by_name(std::vector<metrics::database_totals> all);

  mutable std::mutex mutex_;
  named begin_, end_;
  clock::time_point begin_at_, end_at_;
};

}  // namespace tidegate::admin
