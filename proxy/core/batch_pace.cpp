#include "proxy/core/batch_pace.hpp"

#include <algorithm>

namespace tidegate::core {

using std::chrono::milliseconds;

std::chrono::milliseconds batch_pace::finished(std::chrono::microseconds took, const strain& felt) {
  const double took_ms = std::max(static_cast<double>(took.count()) / 1000.0, 0.1);
  resize(std::clamp(static_cast<double>(limits_.target.count()) / took_ms, 0.5, 1.5));
  // Half of the time is left to others, less when they feel it.
  rest_factor_ =
      std::clamp(felt.slowdown > limits_.strained ? rest_factor_ * 2 : rest_factor_ / 2, 1.0, 16.0);
  if (must_wait(felt)) return limits_.lag_pause;
  return std::max(milliseconds(1), milliseconds(static_cast<std::int64_t>(took_ms * rest_factor_)));
}

std::chrono::milliseconds batch_pace::collided() {
  resize(0.5);
  return limits_.lag_pause;
}

void batch_pace::resize(double factor) {
  size_ =
      std::clamp(static_cast<std::int64_t>(static_cast<double>(size_) * factor), limits_.least, limits_.most);
}

}  // namespace tidegate::core
