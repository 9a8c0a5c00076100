#pragma once
// How long the slowest of somebody's statements took, the one that is still waited for included.

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace tidegate::cli {

class wait_meter {
 public:
  using clock = std::chrono::steady_clock;

  void begin() { since_ = clock::now(); }
  void end() {
    if (since_) worst_ = std::max<std::chrono::nanoseconds>(worst_, clock::now() - *since_);
    since_.reset();
  }
  // There will be no answer: its connection is gone.
  void abandon() { since_.reset(); }

  // The longest since the last call.
  std::chrono::nanoseconds take() {
    auto worst = std::exchange(worst_, {});
    if (since_) worst = std::max<std::chrono::nanoseconds>(worst, clock::now() - *since_);
    return worst;
  }

 private:
  std::chrono::nanoseconds worst_{0};
  std::optional<clock::time_point> since_;
};

}  // namespace tidegate::cli
