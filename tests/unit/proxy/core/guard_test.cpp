#include "proxy/core/guard.hpp"

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

using namespace std::chrono_literals;

struct guard_test : ::testing::Test {
  guard::clock::time_point now{};
  guard_limits limits;

  guard begin() { return {limits, now}; }
};

TEST_F(guard_test, looks_first_and_tries_at_once_when_nobody_blocks) {
  guard g = begin();
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::precheck);
  g.found_blockers(false);
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::attempt);
  EXPECT_EQ(g.attempts(), 1U);
  g.attempt_succeeded();
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::done);
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::done);
}

TEST_F(guard_test, tries_without_a_look_when_there_can_be_none) {
  guard g = begin();
  g.next(now, 0.5);
  g.precheck_failed();
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::attempt);
}

TEST_F(guard_test, does_not_try_while_somebody_blocks) {
  guard g = begin();
  while (now.time_since_epoch() < limits.wait_budget) {
    ASSERT_EQ(g.next(now, 0.5).step, guard_step::precheck);
    g.found_blockers(true);
    const auto wait = g.next(now, 0.5);
    ASSERT_EQ(wait.step, guard_step::wait);
    ASSERT_GT(wait.duration, 0ms);
    ASSERT_LE(wait.duration, limits.longest_wait);
    now += wait.duration;
  }
  EXPECT_EQ(now.time_since_epoch(), limits.wait_budget) << "the last wait is cut to the budget";
  g.next(now, 0.5);
  g.found_blockers(true);
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::give_up);
  EXPECT_EQ(g.attempts(), 0U);
}

TEST_F(guard_test, looks_often_at_first_and_rarely_later) {
  guard g = begin();
  std::chrono::milliseconds last{0};
  for (const auto expected : {20ms, 40ms, 80ms, 160ms, 250ms, 250ms}) {
    g.next(now, 0.5);
    g.found_blockers(true);
    last = g.next(now, 0.5).duration;
    EXPECT_EQ(last, expected);
  }
}

TEST_F(guard_test, tries_once_even_when_the_look_took_all_the_time) {
  guard g = begin();
  g.next(now, 0.5);
  now += 2 * limits.wait_budget;
  g.found_blockers(false);
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::attempt);
  g.attempt_timed_out();
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::give_up);
}

TEST_F(guard_test, rests_longer_after_each_attempt_and_looks_again) {
  guard g = begin();
  for (const auto expected : {100ms, 200ms, 400ms, 800ms}) {
    ASSERT_EQ(g.next(now, 0.5).step, guard_step::precheck);
    g.found_blockers(false);
    ASSERT_EQ(g.next(now, 0.5).step, guard_step::attempt);
    g.attempt_timed_out();
    const auto rest = g.next(now, 0.5);
    EXPECT_EQ(rest.step, guard_step::rest);
    EXPECT_EQ(rest.duration, expected);
  }
  EXPECT_EQ(g.attempts(), 4U);
}

TEST_F(guard_test, pauses_are_bounded_and_spread) {
  limits.wait_budget = std::chrono::hours(1);
  guard g = begin();
  for (int i = 0; i < 40; ++i) {
    g.next(now, 0);
    g.found_blockers(false);
    g.next(now, 0);
    g.attempt_timed_out();
    const auto shortest = guard(g).next(now, 0).duration;
    const auto longest = g.next(now, 0.999999).duration;
    EXPECT_GE(shortest, limits.first_pause / 2);
    EXPECT_LE(longest, limits.longest_pause * 3 / 2);
    EXPECT_GT(longest, 2 * shortest);
  }
}

TEST_F(guard_test, a_rest_never_passes_the_budget) {
  guard g = begin();
  g.next(now, 0.5);
  g.found_blockers(false);
  g.next(now, 0.5);
  g.attempt_timed_out();
  now += limits.wait_budget - 7ms;
  EXPECT_EQ(g.next(now, 0.5).duration, 7ms);
}

TEST_F(guard_test, tells_once_a_second_while_it_waits) {
  guard g = begin();
  int told = 0;
  while (now.time_since_epoch() < 10s) {
    g.next(now, 0.5);
    g.found_blockers(true);
    const auto wait = g.next(now, 0.5);
    told += wait.tell ? 1 : 0;
    now += wait.duration;
  }
  EXPECT_GE(told, 7);
  EXPECT_LE(told, 10);
}

TEST_F(guard_test, a_report_that_is_missing_ends_it) {
  guard g = begin();
  g.next(now, 0.5);
  g.found_blockers(false);
  ASSERT_EQ(g.next(now, 0.5).step, guard_step::attempt);
  EXPECT_EQ(g.next(now, 0.5).step, guard_step::give_up);
}

}  // namespace
}  // namespace tidegate::core
