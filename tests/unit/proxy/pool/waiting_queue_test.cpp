#include "proxy/pool/waiting_queue.hpp"

#include "proxy/pool/server_pool.hpp"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::pool {
namespace {

class nobody final : public server_taker {
 public:
  void server_ready(pooled_server_ptr) override {}
  void server_failed(const login_failure&) override {}
};

struct a_waiting_queue : ::testing::Test {
  waiter_ptr waiter_of(const application_share_ptr& share) {
    auto one = std::make_shared<waiter>();
    one->taker = taker;
    one->share = share;
    return one;
  }
  waiter_ptr wait(const application_share_ptr& share) {
    auto one = waiter_of(share);
    queue.wait(one);
    return one;
  }

  std::shared_ptr<server_taker> taker = std::make_shared<nobody>();
  waiting_queue queue;
  application_share_ptr heavy = queue.share_of("heavy"), other = queue.share_of("other");
};

TEST_F(a_waiting_queue, gives_clients_of_one_name_one_share) {
  EXPECT_EQ(queue.share_of("heavy"), heavy);
  EXPECT_NE(other, heavy);
  const std::weak_ptr<application_share> gone = queue.share_of("gone");
  EXPECT_TRUE(gone.expired());
}

TEST_F(a_waiting_queue, serves_in_order_without_a_limit) {
  const auto first = wait(heavy), second = wait(other), third = wait(heavy);
  EXPECT_EQ(queue.waiting(), 3u);
  EXPECT_EQ(queue.next(), first);
  EXPECT_EQ(queue.next(), second);
  EXPECT_EQ(queue.next(), third);
  EXPECT_EQ(queue.next(), nullptr);
  EXPECT_EQ(heavy->held(), 0u) << "nothing is counted";
}

TEST_F(a_waiting_queue, passes_over_who_has_enough_until_one_comes_back) {
  queue.set_limit(2);
  ASSERT_TRUE(queue.enter(*heavy));
  ASSERT_TRUE(queue.enter(*heavy));
  EXPECT_FALSE(queue.enter(*heavy));
  const auto first = waiter_of(heavy);
  EXPECT_FALSE(queue.wait(first));
  const auto second = waiter_of(other);
  EXPECT_TRUE(queue.wait(second));
  EXPECT_EQ(queue.waiting(), 1u);
  EXPECT_EQ(queue.passed_over(), 1u);
  EXPECT_EQ(queue.next(), second);
  EXPECT_EQ(queue.next(), nullptr);
  const auto third = wait(other);
  queue.leave(*heavy);
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_EQ(queue.next(), first) << "it keeps its turn";
  EXPECT_EQ(heavy->held(), 2u);
  EXPECT_EQ(queue.next(), third);
}

TEST_F(a_waiting_queue, passes_over_who_reaches_the_limit_while_waiting) {
  queue.set_limit(1);
  const auto first = wait(heavy), second = wait(heavy), third = wait(other);
  EXPECT_EQ(queue.waiting(), 3u);
  EXPECT_EQ(queue.next(), first);
  EXPECT_EQ(queue.next(), third);
  EXPECT_EQ(queue.next(), nullptr);
  EXPECT_EQ(queue.passed_over(), 1u);
  queue.leave(*heavy);
  EXPECT_EQ(queue.next(), second);
}

TEST_F(a_waiting_queue, forgets_who_no_longer_waits) {
  queue.set_limit(1);
  ASSERT_TRUE(queue.enter(*heavy));
  const auto passed_over = wait(heavy), waiting = wait(other);
  EXPECT_TRUE(queue.forget(passed_over));
  EXPECT_TRUE(queue.forget(waiting));
  EXPECT_FALSE(queue.forget(waiting));
  EXPECT_EQ(queue.waiting() + queue.passed_over(), 0u);
  const auto gone = wait(other);
  taker.reset();
  EXPECT_EQ(queue.next(), nullptr);
}

TEST_F(a_waiting_queue, gives_the_turn_of_who_leaves_to_the_next_of_its_share) {
  queue.set_limit(1);
  for (const bool forgets : {true, false}) {
    ASSERT_TRUE(queue.enter(*heavy));
    auto mine = std::make_shared<nobody>();
    auto first = waiter_of(heavy);
    first->taker = mine;
    queue.wait(first);
    const auto second = wait(heavy);
    EXPECT_EQ(queue.passed_over(), 2u);
    queue.leave(*heavy);
    EXPECT_EQ(queue.waiting(), 1u);
    if (forgets)
      queue.forget(first);
    else
      mine.reset();
    EXPECT_EQ(queue.next(), second);
    queue.leave(*heavy);
  }
}

TEST_F(a_waiting_queue, judges_everybody_by_a_new_limit) {
  queue.set_limit(1);
  ASSERT_TRUE(queue.enter(*heavy));
  const auto first = wait(heavy);
  queue.set_limit(2);
  EXPECT_EQ(queue.next(), first);
  const auto second = wait(heavy);
  EXPECT_EQ(queue.passed_over(), 1u);
  queue.set_limit(0);
  EXPECT_EQ(queue.next(), second);
  queue.leave(*heavy);
  queue.leave(*heavy);
  EXPECT_EQ(heavy->held(), 0u);
}

TEST_F(a_waiting_queue, gives_all_of_them_with_those_passed_over) {
  queue.set_limit(1);
  ASSERT_TRUE(queue.enter(*heavy));
  const auto first = wait(heavy), second = wait(other);
  EXPECT_EQ(queue.take_all(), (std::vector<waiter_ptr>{first, second}));
  EXPECT_EQ(queue.waiting() + queue.passed_over(), 0u);
}

// Nobody is left aside while the share has room: each thread takes and gives back, and serves who waits.
TEST_F(a_waiting_queue, loses_nobody_between_threads) {
  constexpr int rounds = 20'000;
  queue.set_limit(1);
  const auto work = [&] {
    for (int i = 0; i < rounds; ++i) {
      queue.wait(waiter_of(heavy));
      if (const auto served = queue.next(); served && served->counted) queue.leave(*served->share);
    }
  };
  std::thread one(work), two(work);
  one.join();
  two.join();
  int left = 0;
  while (const auto served = queue.next()) {
    ++left;
    queue.leave(*served->share);
  }
  EXPECT_EQ(heavy->held(), 0u);
  EXPECT_EQ(queue.passed_over(), 0u) << left << " were left to be served";
}

}  // namespace
}  // namespace tidegate::pool
