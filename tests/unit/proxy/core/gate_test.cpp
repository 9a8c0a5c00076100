#include "proxy/core/gate.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

using namespace std::chrono_literals;

struct gate_test : ::testing::Test {
  core::gate gate;
  core::gate::clock::time_point now{};
  sql::lexical_settings lexical;

  std::optional<core::gate::clock::time_point> held(std::string_view sql, std::string_view database = "app") {
    return gate.must_hold(database, sql, lexical, now);
  }
};

TEST_F(gate_test, holds_what_names_its_relations_only) {
  EXPECT_FALSE(gate.closed());
  const auto closure = gate.close("app", {"orders", "open_orders"}, now + 100ms);
  EXPECT_TRUE(closure);
  EXPECT_TRUE(gate.closed());
  EXPECT_EQ(held("SELECT * FROM orders"), now + 100ms);
  EXPECT_EQ(held("SELECT * FROM public.\"open_orders\""), now + 100ms);
  EXPECT_FALSE(held("SELECT * FROM customers"));
  EXPECT_FALSE(held("SELECT * FROM orders", "other"));
}

TEST_F(gate_test, holds_in_doubt) {
  const auto closure = gate.close("app", {"orders"}, now + 100ms);
  EXPECT_TRUE(gate.must_hold("app", std::nullopt, lexical, now));
  EXPECT_TRUE(held("SELECT 'unterminated"));
  EXPECT_FALSE(gate.must_hold("other", std::nullopt, lexical, now));
}

TEST_F(gate_test, opens_by_itself_at_its_deadline) {
  const auto closure = gate.close("app", {"orders"}, now + 100ms);
  now += 99ms;
  EXPECT_TRUE(held("SELECT * FROM orders"));
  now += 1ms;
  EXPECT_FALSE(held("SELECT * FROM orders"));
  EXPECT_TRUE(gate.closed()) << "until whoever closed it lets go";
}

TEST_F(gate_test, opens_when_its_closure_goes_and_says_so_once) {
  int opened = 0;
  gate.on_open([&opened] { ++opened; });
  {
    auto closure = gate.close("app", {"orders"}, now + 100ms);
    closure.open();
    EXPECT_FALSE(closure);
    EXPECT_FALSE(gate.closed());
    EXPECT_EQ(opened, 1);
  }
  EXPECT_EQ(opened, 1);
}

TEST_F(gate_test, closures_move) {
  int opened = 0;
  gate.on_open([&opened] { ++opened; });
  auto first = gate.close("app", {"orders"}, now + 100ms);
  auto second = gate.close("app", {"customers"}, now + 200ms);
  core::gate::closure moved(std::move(first));
  EXPECT_TRUE(held("SELECT * FROM orders"));
  moved = std::move(second);
  EXPECT_EQ(opened, 1);
  EXPECT_FALSE(held("SELECT * FROM orders"));
  EXPECT_TRUE(held("SELECT * FROM customers"));
}

TEST_F(gate_test, the_last_of_several_closures_decides) {
  const auto one = gate.close("app", {"orders"}, now + 100ms);
  const auto other = gate.close("app", {"customers"}, now + 300ms);
  EXPECT_EQ(held("SELECT * FROM orders"), now + 100ms);
  EXPECT_EQ(held("SELECT * FROM orders, customers"), now + 300ms);
}

}  // namespace
}  // namespace tidegate::core
