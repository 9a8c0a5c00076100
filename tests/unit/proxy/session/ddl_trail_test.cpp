#include "proxy/session/ddl_trail.hpp"

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using control::ddl_outcome;
using session::ddl_trail;
using witness = ddl_trail::witness;

control::ddl_entry entry(std::string statement) {
  control::ddl_entry made;
  made.statement = std::move(statement);
  made.undo.sql = "DROP TABLE t;";
  return made;
}

TEST(DdlTrail, what_the_setting_has_stands_and_the_rest_was_rolled_back) {
  ddl_trail trail;
  const auto a = trail.next_number(), b = trail.next_number(), c = trail.next_number();
  trail.keep(entry("a"), witness::setting, a, 0);
  trail.keep(entry("b"), witness::setting, b, 0);
  trail.keep(entry("c"), witness::setting, c, 0);
  const auto standing = trail.settle(" 1 3", 5);
  ASSERT_EQ(standing.size(), 2u);
  EXPECT_EQ(standing[0].statement, "a");
  EXPECT_EQ(standing[1].statement, "c");
  EXPECT_EQ(standing[1].outcome, ddl_outcome::done);
  EXPECT_TRUE(trail.empty());
}

TEST(DdlTrail, number_is_no_part_of_another) {
  ddl_trail trail;
  trail.keep(entry("a"), witness::setting, 1, 0);
  EXPECT_TRUE(trail.settle(" 11 21", 0).empty());
}

TEST(DdlTrail, batch_without_errors_stands) {
  ddl_trail trail;
  trail.keep(entry("a"), witness::no_errors, 0, 7);
  EXPECT_EQ(trail.settle({}, 7).size(), 1u);
  trail.keep(entry("a"), witness::no_errors, 0, 7);
  EXPECT_TRUE(trail.settle({}, 8).empty());
}

TEST(DdlTrail, what_nobody_can_tell_is_unknown_and_has_no_inverse) {
  ddl_trail trail;
  trail.keep(entry("a"), witness::setting, 1, 0);
  trail.keep(entry("b"), witness::none, 0, 0);
  const auto standing = trail.settle({}, 0);
  ASSERT_EQ(standing.size(), 2u);
  for (const auto& each : standing) {
    EXPECT_EQ(each.outcome, ddl_outcome::unknown);
    EXPECT_EQ(each.undo.sql, "");
  }
}

TEST(DdlTrail, prepared_transaction_is_not_done) {
  ddl_trail trail;
  trail.keep(entry("a"), witness::setting, 1, 0);
  trail.prepared();
  EXPECT_EQ(trail.settle(" 1", 0).at(0).outcome, ddl_outcome::prepared);
}

TEST(DdlTrail, mark_is_owed_until_it_is_taken_away) {
  ddl_trail trail;
  EXPECT_TRUE(trail.empty());
  EXPECT_NE(trail.mark(trail.next_number()).find("' 1'"), std::string::npos);
  EXPECT_FALSE(trail.empty());
  EXPECT_TRUE(trail.settle(" 1", 0).empty());
  EXPECT_TRUE(trail.empty());
}

TEST(DdlTrail, abandoned_changes_are_unknown) {
  ddl_trail trail;
  trail.keep(entry("a"), witness::no_errors, 0, 0);
  EXPECT_EQ(trail.abandon().at(0).outcome, ddl_outcome::unknown);
}

TEST(DdlTrail, too_many_are_refused) {
  ddl_trail trail;
  for (std::size_t i = 0; i < ddl_trail::most; ++i) ASSERT_TRUE(trail.keep(entry("a"), witness::none, 0, 0));
  EXPECT_FALSE(trail.keep(entry("a"), witness::none, 0, 0));
}

}  // namespace
}  // namespace tidegate::test
