#include "proxy/core/gate_notice.hpp"

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

using std::chrono::milliseconds;

TEST(gate_notice, comes_back_as_it_was) {
  const gate_close close{
      .id = "00ff-12", .hold = milliseconds(100), .names = {"orders", "a:b", "2:x", "é\n"}};
  const auto payloads = to_payloads(close);
  ASSERT_EQ(payloads.size(), 1U);
  EXPECT_EQ(parse_gate_notice(payloads[0]), gate_notice(close));
  EXPECT_EQ(parse_gate_notice(to_payload(gate_open{"00ff-12"})), gate_notice(gate_open{"00ff-12"}));
  EXPECT_EQ(parse_gate_notice(to_payload(gate_closed{"00ff-12"})), gate_notice(gate_closed{"00ff-12"}));
}

TEST(gate_notice, many_names_take_several_payloads_and_none_is_lost) {
  gate_close close{.id = "00ff-12", .hold = milliseconds(100), .names = {}};
  for (int i = 0; i < 500; ++i)
    close.names.push_back("partition_" + std::to_string(i) + std::string(50, 'x'));
  std::vector<std::string> names;
  const auto payloads = to_payloads(close);
  EXPECT_GT(payloads.size(), 4U);
  for (const std::string& payload : payloads) {
    EXPECT_LE(payload.size(), longest_gate_notice);
    const auto read = parse_gate_notice(payload);
    ASSERT_TRUE(read && std::holds_alternative<gate_close>(*read));
    const auto& part = std::get<gate_close>(*read);
    names.insert(names.end(), part.names.begin(), part.names.end());
  }
  EXPECT_EQ(names, close.names);
  EXPECT_TRUE(to_payloads({.id = "1-1", .hold = milliseconds(1), .names = {std::string(8000, 'x')}}).empty());
}

TEST(gate_notice, what_is_nothing_of_ours_is_none) {
  const std::string whole = to_payloads({.id = "0-1", .hold = milliseconds(100), .names = {"t"}}).front();
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(parse_gate_notice(std::string_view(whole).substr(0, cut))) << cut;
  for (const char* text :
       {"", ":", "1", "1:", "1:2", "2:1", "1:25:close3:0-13:1001:t", "1:15:close3:0-11:01:t",
        "1:15:close3:0-12:-11:t", "1:15:close3:0-15:600011:t", "1:15:close3:0-13:10x1:t",
        "1:15:close0:3:1001:t", "1:15:close3:0-13:1000:", "1:14:open3:0-1x", "1:14:shut3:0-1",
        "99999999999999999999:x", "-1:x", "18446744073709551615:x"})
    EXPECT_FALSE(parse_gate_notice(text)) << text;
  EXPECT_FALSE(parse_gate_notice("1:14:open65:" + std::string(65, 'x')));
}

}  // namespace
}  // namespace tidegate::core
