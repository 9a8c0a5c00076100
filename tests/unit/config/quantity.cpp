#include "config/quantity.hpp"

#include <gtest/gtest.h>

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

TEST(parse_duration, takes_a_number_with_a_unit) {
  EXPECT_EQ(parse_duration("50ms"), 50ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2 min"), 2min);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("24d"), 24h * 24);
  EXPECT_EQ(parse_duration("0"), 0ms);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(parse_duration, refuses_everything_else) {
  for (const char* text : {"", "50", "ms", "-1s", "1.2345s", "1..2s", ".5s", "1sec", "1 0s", "25d", "1e3s",
                           "0x1s", "99999999999999999999d", "1s ", "null", "0.0001ms"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(parse_size, takes_bytes_and_powers_of_1024) {
  EXPECT_EQ(parse_size("1000"), 1000);
  EXPECT_EQ(parse_size("512kB"), 512 * 1024);
  EXPECT_EQ(parse_size("8MiB"), 8 << 20);
  EXPECT_EQ(parse_size("8MB"), 8 << 20);
  EXPECT_EQ(parse_size("1.5 GiB"), 3LL << 29);
  EXPECT_EQ(parse_size("0"), 0);
}

TEST(parse_size, refuses_everything_else) {
  for (const char* text : {"", "-1", "1.5", "1mb", "big", "999999999999999TiB", "1 000"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tidegate::config
