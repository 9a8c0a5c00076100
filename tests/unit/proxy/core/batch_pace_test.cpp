#include "proxy/core/batch_pace.hpp"

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using core::batch_limits;
using core::batch_pace;
using core::strain;
using namespace std::chrono_literals;

TEST(BatchPace, grows_while_batches_are_quick_and_never_beyond_its_bound) {
  batch_pace pace;
  const auto first = pace.size();
  pace.finished(1ms, {});
  EXPECT_GT(pace.size(), first);
  for (int i = 0; i < 100; ++i) pace.finished(1us, {});
  EXPECT_EQ(pace.size(), batch_limits{}.most);
}

TEST(BatchPace, shrinks_when_a_batch_takes_long_and_never_below_its_bound) {
  batch_pace pace;
  const auto first = pace.size();
  pace.finished(10s, {});
  EXPECT_EQ(pace.size(), first / 2) << "at most by half at once";
  for (int i = 0; i < 100; ++i) pace.finished(10s, {});
  EXPECT_EQ(pace.size(), batch_limits{}.least);
}

TEST(BatchPace, keeps_its_size_at_the_target) {
  batch_pace pace;
  const auto first = pace.size();
  pace.finished(batch_limits{}.target, {});
  EXPECT_EQ(pace.size(), first);
}

TEST(BatchPace, rests_as_long_as_it_worked_and_longer_when_others_feel_it) {
  batch_pace pace;
  EXPECT_EQ(pace.finished(40ms, {}), 40ms);
  const strain felt{.slowdown = 3.0};
  EXPECT_EQ(pace.finished(40ms, felt), 80ms);
  EXPECT_EQ(pace.finished(40ms, felt), 160ms);
  EXPECT_EQ(pace.finished(40ms, {}), 80ms) << "and comes back by and by";
  for (int i = 0; i < 20; ++i) pace.finished(40ms, felt);
  EXPECT_EQ(pace.finished(40ms, felt), 640ms) << "it never stops altogether";
}

TEST(BatchPace, waits_for_a_replica_that_is_behind) {
  batch_pace pace;
  EXPECT_EQ(pace.finished(1ms, {.replica_lag = 5s}), batch_limits{}.lag_pause);
}

TEST(BatchPace, is_smaller_after_a_collision) {
  batch_pace pace;
  const auto first = pace.size();
  EXPECT_EQ(pace.collided(), batch_limits{}.lag_pause);
  EXPECT_EQ(pace.size(), first / 2);
}

}  // namespace
}  // namespace tidegate::test
