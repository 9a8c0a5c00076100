#pragma once
// How big the next batch of a backfill is and how long to rest before it, without I/O. A batch holds its row
// locks for as long as it takes, so its size follows a time that nobody notices; the rest follows what the
// application and the replicas feel. One per backfill; time comes from outside.

#include <chrono>
#include <cstdint>

namespace tidegate::core {

struct batch_limits {
  std::chrono::milliseconds target{40};  // of one batch
  std::int64_t first = 500;              // rows
  std::int64_t least = 50, most = 20'000;
  std::chrono::milliseconds lag_pause{500};  // while a replica is further behind than `lag`
  std::chrono::milliseconds lag{1'000};
  double strained = 2.0;  // statements take so many times what they took before: rest longer
};

// What is felt outside, as far as it is known.
struct strain {
  std::chrono::milliseconds replica_lag{0};
  double slowdown = 1.0;  // latency of the application's statements, of what it was before the backfill
};

class batch_pace {
 public:
  explicit batch_pace(const batch_limits& limits = {}) : limits_(limits), size_(limits.first) {}

  std::int64_t size() const { return size_; }

  // A replica is so far behind that no further batch may be made.
  bool must_wait(const strain& felt) const { return felt.replica_lag > limits_.lag; }
  std::chrono::milliseconds lag_pause() const { return limits_.lag_pause; }
  // The batch took so long. Returns how long to rest before the next one.
  std::chrono::milliseconds finished(std::chrono::microseconds took, const strain& felt);
  // It met a lock or a deadlock and has to be made again: smaller, after a rest.
  std::chrono::milliseconds collided();

 private:
  void resize(double factor);

  batch_limits limits_;
  std::int64_t size_;
  double rest_factor_ = 1.0;  // of the time that the batch took
};

}  // namespace tidegate::core
