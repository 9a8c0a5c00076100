#include "proxy/core/guard.hpp"

#include <algorithm>

namespace tidegate::core {

guard::action guard::next(clock::time_point now, double random_unit) {
  const auto left = limits_.wait_budget - waited(now);
  switch (state_) {
    case state::begin:
    case state::rested:
      state_ = state::begin;
      return {guard_step::precheck};
    case state::blocked: {
      if (left.count() <= 0) return {guard_step::give_up};
      state_ = state::begin;
      // Often at first, when a blocker is most likely to end at once; never so often that the look itself is
      // a load.
      const auto doubled = limits_.shortest_wait * (1 << std::min(prechecks_++, 6u));
      const auto wait =
          std::min({doubled, limits_.longest_wait, std::max(left, std::chrono::milliseconds{1})});
      return {guard_step::wait, wait, due(now)};
    }
    case state::clear:
      // Always one attempt, however long the look took.
      if (left.count() <= 0 && attempts_ != 0) return {guard_step::give_up};
      state_ = state::trying;
      ++attempts_;
      return {guard_step::attempt};
    case state::timed_out: {
      if (left.count() <= 0) return {guard_step::give_up};
      state_ = state::rested;
      const auto pause =
          std::min(limits_.first_pause * (1 << std::min(attempts_ - 1, 7u)), limits_.longest_pause);
      const auto jittered = std::chrono::milliseconds(
          static_cast<std::int64_t>(static_cast<double>(pause.count()) * (0.5 + random_unit)));
      return {guard_step::rest, std::min(jittered, std::max(left, std::chrono::milliseconds{1})), due(now)};
    }
    case state::succeeded:
      return {guard_step::done};
    case state::trying:
      break;
  }
  return {guard_step::give_up};
}

void guard::attempt_timed_out() {
  state_ = state::timed_out;
  prechecks_ = 0;
}

bool guard::due(clock::time_point now) {
  if (now - last_notice_ < limits_.notice_every) return false;
  last_notice_ = now;
  return true;
}

}  // namespace tidegate::core
