#include "config/user_file.hpp"

#include <gtest/gtest.h>

namespace tidegate::config {
namespace {

TEST(user_list, has_the_users_of_the_file) {
  const user_list list = parse_user_list(
      "; a comment\n\n\"ann\" \"SCRAM-SHA-256$4096:c2FsdA==$a:b\"\r\n  \"o\"\"brien\"\t\"with "
      "\"\"quotes\"\"\"\n\"last\" \"\"");
  EXPECT_TRUE(list.problems.empty());
  EXPECT_EQ(list.users.size(), 3u);
  EXPECT_EQ(list.users.at("ann"), "SCRAM-SHA-256$4096:c2FsdA==$a:b");
  EXPECT_EQ(list.users.at("o\"brien"), "with \"quotes\"");
  EXPECT_EQ(list.users.at("last"), "");
}

TEST(user_list, tells_the_place_of_each_bad_line_without_quoting_it) {
  const user_list list = parse_user_list(
      "ann secret\n\"bob\" \"x\"\n\"bob\" \"y\"\n\"eve\" \"open\n\"\" \"z\"\n\"a\" \"b\" \"c\"\n");
  ASSERT_EQ(list.problems.size(), 5u);
  EXPECT_EQ(list.problems[0].at.line, 1);
  EXPECT_EQ(list.problems[1].at.line, 3);
  EXPECT_EQ(list.problems[2].at.line, 4);
  EXPECT_EQ(list.problems[3].at.line, 5);
  EXPECT_EQ(list.problems[4].at.line, 6);
  for (const problem& p : list.problems) EXPECT_EQ(to_text("f", p).find("open"), std::string::npos);
  EXPECT_EQ(list.users.at("bob"), "x");
}

}  // namespace
}  // namespace tidegate::config
