#include "proxy/core/new_relations.hpp"

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

using namespace std::chrono_literals;

struct new_relations_test : ::testing::Test {
  new_relations all;
  new_relations::clock::time_point now{};
  sql::lexical_settings lexical;
  relation_maker restore{"owner", "pg_restore"};
  relation_maker application{"owner", "shop"};

  void make(std::string_view name) { all.made("app", "public", name, restore, now + 60s); }
  bool is_new(std::string_view name, const relation_maker& by) { return all.is_new("app", name, by, now); }
};

TEST_F(new_relations_test, are_new_to_their_maker_alone) {
  EXPECT_FALSE(all.any());
  make("orders");
  EXPECT_TRUE(all.any());
  EXPECT_TRUE(is_new("public.orders", restore));
  EXPECT_FALSE(is_new("public.orders", application));
  EXPECT_FALSE(is_new("public.orders", {"other", "pg_restore"}));
  EXPECT_FALSE(is_new("public.customers", restore));
  EXPECT_FALSE(is_new("other.orders", restore));
  EXPECT_FALSE(all.is_new("elsewhere", "public.orders", restore, now));
}

TEST_F(new_relations_test, are_new_no_more_once_somebody_else_names_them) {
  make("orders");
  make("customers");
  all.seen("app", "SELECT * FROM public.orders", lexical, restore);
  EXPECT_TRUE(is_new("public.orders", restore));
  all.seen("elsewhere", "SELECT * FROM orders", lexical, application);
  EXPECT_TRUE(is_new("public.orders", restore));
  all.seen("app", "SELECT 1", lexical, application);
  EXPECT_TRUE(is_new("public.orders", restore));
  all.seen("app", "SELECT * FROM orders", lexical, application);
  EXPECT_FALSE(is_new("public.orders", restore));
  EXPECT_TRUE(is_new("public.customers", restore));
}

TEST_F(new_relations_test, in_doubt_somebody_has_named_them) {
  make("orders");
  all.seen("app", "DO $$ BEGIN PERFORM 1 FROM orders; END $$", lexical, application);
  EXPECT_FALSE(is_new("public.orders", restore));
}

TEST_F(new_relations_test, age) {
  make("orders");
  now += 59s;
  all.expire(now);
  EXPECT_TRUE(is_new("public.orders", restore));
  now += 1s;
  EXPECT_FALSE(is_new("public.orders", restore));
  EXPECT_TRUE(all.any());
  all.expire(now);
  EXPECT_FALSE(all.any());
}

TEST_F(new_relations_test, a_relation_made_again_belongs_to_its_new_maker) {
  make("orders");
  all.made("app", "public", "orders", application, now + 60s);
  EXPECT_FALSE(is_new("public.orders", restore));
  EXPECT_TRUE(is_new("public.orders", application));
}

TEST_F(new_relations_test, are_bounded) {
  for (int i = 0; i < 20'000; ++i) make("t" + std::to_string(i));
  EXPECT_TRUE(is_new("public.t0", restore));
  EXPECT_FALSE(is_new("public.t19999", restore));
}

}  // namespace
}  // namespace tidegate::core
