#include "proxy/metrics/instruments.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace tidegate::metrics {
namespace {

TEST(histogram, counts_a_value_in_the_first_bucket_that_holds_it) {
  histogram<latency_bounds> h;
  h.observe(0.0001);  // a bound belongs to its bucket
  h.observe(0.00011);
  h.observe(3600);
  EXPECT_EQ(h.count(0), 1u);
  EXPECT_EQ(h.count(1), 1u);
  EXPECT_EQ(h.count(latency_bounds.size()), 1u);
  EXPECT_NEAR(h.sum(), 3600.00021, 1e-6);
}

TEST(histogram, takes_what_a_wrong_clock_gives_as_nothing) {
  histogram<latency_bounds> h;
  h.observe(-5);
  h.observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(h.count(0), 2u);
  EXPECT_EQ(h.sum(), 0);
}

TEST(gauge, goes_up_and_down) {
  gauge g;
  g.add(5);
  g.sub();
  EXPECT_EQ(g.value(), 4);
}

}  // namespace
}  // namespace tidegate::metrics
