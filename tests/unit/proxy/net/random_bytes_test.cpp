#include "proxy/net/random_bytes.hpp"

#include <array>
#include <cstddef>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::net {
namespace {

using key = std::array<std::byte, 16>;

TEST(random_bytes, gives_each_byte_out_once_whatever_the_sizes_and_the_threads) {
  std::vector<std::vector<key>> drawn(2);
  const auto draw = [](std::vector<key>& into) {
    for (int i = 0; i < 3000; ++i) {
      random_bytes(into.emplace_back());
      std::array<std::byte, 7> odd;
      random_bytes(odd);
    }
  };
  std::thread other(draw, std::ref(drawn[1]));
  draw(drawn[0]);
  other.join();
  std::set<key> all;
  for (const auto& of_thread : drawn) all.insert(of_thread.begin(), of_thread.end());
  EXPECT_EQ(all.size(), 6000u);
}

TEST(random_bytes, fills_more_than_the_store_holds) {
  std::vector<std::byte> much(10'000);
  random_bytes(much);
  std::array<int, 256> seen{};
  for (const std::byte one : much) ++seen[std::to_integer<std::size_t>(one)];
  for (const int count : seen) {
    EXPECT_GT(count, 0);
    EXPECT_LT(count, 200);
  }
}

TEST(random_bytes, of_nothing_are_nothing) {
  random_bytes({});
}

}  // namespace
}  // namespace tidegate::net
