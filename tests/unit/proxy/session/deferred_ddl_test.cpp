#include "proxy/session/deferred_ddl.hpp"

#include <gtest/gtest.h>

namespace tidegate::test {
namespace {

using session::background_statement;
using session::deferred_ddl;

background_statement statement(std::int64_t id, std::int64_t transaction = 700) {
  background_statement made;
  made.id = id;
  made.transaction = transaction;
  return made;
}

TEST(DeferredDdl, what_the_setting_has_stands_and_the_rest_is_withdrawn) {
  deferred_ddl deferred;
  deferred.keep(statement(10), 1);
  deferred.keep(statement(20), 2);
  deferred.keep(statement(30), 12);
  const auto settled = deferred.settle(" 1 12", "700");
  ASSERT_EQ(settled.standing.size(), 2u);
  EXPECT_EQ(settled.standing[0].id, 10);
  EXPECT_EQ(settled.standing[1].id, 30);
  ASSERT_EQ(settled.withdrawn.size(), 1u);
  EXPECT_EQ(settled.withdrawn[0].id, 20);
  EXPECT_TRUE(deferred.empty());
}

TEST(DeferredDdl, nothing_stands_without_marks) {
  deferred_ddl deferred;
  deferred.keep(statement(10), 1);
  EXPECT_EQ(deferred.settle("", std::nullopt).withdrawn.size(), 1u);
}

TEST(DeferredDdl, each_is_of_its_own_transaction) {
  deferred_ddl deferred;
  deferred.keep(statement(10, 700), 1);
  deferred.keep(statement(20, 70), 2);
  const auto settled = deferred.settle(" 1 2", "700 7");
  ASSERT_EQ(settled.standing.size(), 1u);
  EXPECT_EQ(settled.standing[0].id, 10);
  ASSERT_EQ(settled.unsettled.size(), 1u);
  EXPECT_EQ(settled.unsettled[0].id, 20);
}

TEST(DeferredDdl, what_nobody_can_tell_is_not_carried_out) {
  deferred_ddl deferred;
  deferred.keep(statement(10), 1);
  EXPECT_EQ(deferred.settle(std::nullopt, "700").unsettled.size(), 1u);
  deferred.keep(statement(10), 1);
  EXPECT_EQ(deferred.settle(" 1", std::nullopt).unsettled.size(), 1u);
  EXPECT_TRUE(deferred.empty());
}

TEST(DeferredDdl, is_bounded) {
  deferred_ddl deferred;
  for (std::size_t i = 0; i < deferred_ddl::most; ++i) {
    EXPECT_FALSE(deferred.full());
    deferred.keep(statement(static_cast<std::int64_t>(i)), i + 1);
  }
  EXPECT_TRUE(deferred.full());
}

}  // namespace
}  // namespace tidegate::test
