#pragma once
// Counters, gauges and histograms of the data path. Each has one writing thread and any number of readers:
// relaxed atomics that are loaded and stored, never locked operations. The shared_ ones take any number of
// writers. Nothing allocates.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tidegate::metrics {

class counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class shared_counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class gauge {
 public:
  void add(std::int64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::int64_t n = 1) noexcept { add(-n); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Upper bounds of the buckets, in seconds. From a look-up in memory to a minute.
inline constexpr std::array<double, 18> latency_bounds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
// For what may take hours: transactions, DDL.
inline constexpr std::array<double, 18> long_bounds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1'800, 7'200};

// `bounds` is one of the arrays above; `Counter` says how many may write.
template <const auto& bounds, typename Counter = counter>
class histogram {
 public:
  static constexpr std::size_t buckets = bounds.size() + 1;  // the last one has no upper bound

  // Negative values, which a clock that was set may give, count as 0.
  void observe(double value) noexcept {
    if (!(value > 0)) value = 0;
    std::size_t i = 0;
    while (i < bounds.size() && value > bounds[i]) ++i;
    counts_[i].add();
    sum_nanos_.add(static_cast<std::uint64_t>(value < 1e9 ? value * 1e9 : 1e18));
  }

  std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].value(); }
  double sum() const noexcept { return static_cast<double>(sum_nanos_.value()) * 1e-9; }

 private:
  std::array<Counter, buckets> counts_;
  Counter sum_nanos_;
};

}  // namespace tidegate::metrics
