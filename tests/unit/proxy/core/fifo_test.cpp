#include "proxy/core/fifo.hpp"

#include <deque>
#include <memory>
#include <random>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

TEST(fifo, is_a_deque_with_two_ends_in_use) {
  fifo<int> mine;
  std::deque<int> theirs;
  std::mt19937 random(7);
  for (int i = 0; i < 100'000; ++i) {
    // Grows and shrinks in waves.
    if (theirs.empty() || random() % 1000 < 500 + (i / 10'000 % 2 != 0 ? 200u : 0u) - 100) {
      mine.push_back(i);
      theirs.push_back(i);
    } else {
      EXPECT_EQ(mine.front(), theirs.front());
      mine.pop_front();
      theirs.pop_front();
    }
    ASSERT_EQ(mine.size(), theirs.size());
    ASSERT_EQ(mine.empty(), theirs.empty());
    if (i % 1000 == 0) {
      EXPECT_TRUE(std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end()));
      EXPECT_TRUE(std::equal(mine.rbegin(), mine.rend(), theirs.rbegin(), theirs.rend()));
    }
  }
}

TEST(fifo, lets_go_of_what_was_popped) {
  fifo<std::shared_ptr<int>> queue;
  const auto one = std::make_shared<int>(1);
  queue.push_back(one);
  queue.push_back(nullptr);
  queue.pop_front();
  EXPECT_EQ(one.use_count(), 1);
}

}  // namespace
}  // namespace tidegate::core
