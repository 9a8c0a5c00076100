#include "proxy/core/prepared_statements.hpp"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace tidegate::core {
namespace {

const std::vector<std::byte> some_bind(20);

suspect kept(std::string text) {
  return std::make_shared<suspect_statement>(suspect_statement{std::move(text), {}});
}

// A statement that the server has.
void keep(prepared_statements& all, std::string_view name, std::uint64_t number = 0) {
  all.parse_sent(number, name, kept("DROP TABLE t"));
  all.confirmed(number);
  all.sync_sent();
}

TEST(prepared_statements, are_empty_until_something_suspicious_is_sent) {
  prepared_statements all;
  EXPECT_TRUE(all.empty());
  all.parse_sent(0, "s", kept("DROP TABLE t"));
  EXPECT_FALSE(all.empty());
}

TEST(prepared_statements, are_known_once_confirmed) {
  prepared_statements all;
  all.parse_sent(0, "s", kept("DROP TABLE t"));
  EXPECT_EQ(all.statement("s"), nullptr);
  all.confirmed(0);
  ASSERT_NE(all.statement("s"), nullptr);
  EXPECT_EQ(all.statement("s")->text, "DROP TABLE t");
  EXPECT_TRUE(all.has_named_statements());
}

TEST(prepared_statements, a_portal_runs_what_its_bind_named) {
  prepared_statements all;
  keep(all, "s");
  all.bind_sent(1, "p", "s", some_bind);
  EXPECT_TRUE(all.may_be_suspect("p"));
  EXPECT_FALSE(all.may_be_suspect("other"));
  EXPECT_EQ(all.portal("p"), nullptr);
  all.confirmed(1);
  ASSERT_NE(all.portal("p"), nullptr);
  EXPECT_EQ(all.portal("p")->statement->text, "DROP TABLE t");
  EXPECT_EQ(all.portal("p")->bind.size(), some_bind.size());
}

TEST(prepared_statements, a_bind_too_big_to_keep_is_still_followed) {
  prepared_statements all;
  keep(all, "s");
  all.bind_sent(1, "p", "s", std::vector<std::byte>(1 << 20));
  all.confirmed(1);
  ASSERT_NE(all.portal("p"), nullptr);
  EXPECT_TRUE(all.portal("p")->bind.empty());
}

TEST(prepared_statements, a_parse_that_the_server_skipped_never_happened) {
  prepared_statements all;
  all.parse_sent(0, "s", kept("DROP TABLE t"));
  all.abandoned_before(1);
  EXPECT_EQ(all.statement("s"), nullptr);
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(all.bytes(), 0U);
}

TEST(prepared_statements, a_close_that_the_server_skipped_forgets_nothing) {
  prepared_statements all;
  keep(all, "s");
  all.close_sent(1, 'S', "s");
  all.abandoned_before(2);
  EXPECT_NE(all.statement("s"), nullptr);
  all.bind_sent(3, "", "s", some_bind);
  EXPECT_TRUE(all.may_be_suspect(""));
}

TEST(prepared_statements, a_harmless_parse_that_the_server_skipped_forgets_nothing) {
  prepared_statements all;
  keep(all, "");
  all.parse_sent(1, "", nullptr);  // replaces the unnamed statement, if it is carried out
  all.sync_sent();
  all.bind_sent(3, "", "", some_bind);
  EXPECT_TRUE(all.may_be_suspect("")) << "the batch before may fail";
  all.abandoned_before(2);
  EXPECT_TRUE(all.may_be_suspect(""));
}

TEST(prepared_statements, a_harmless_parse_in_the_same_batch_decides) {
  prepared_statements all;
  keep(all, "");
  all.parse_sent(1, "", nullptr);
  all.bind_sent(2, "", "", some_bind);
  EXPECT_FALSE(all.may_be_suspect("")) << "if the Parse fails, the Execute is skipped as well";
}

TEST(prepared_statements, close_and_replacement_take_effect_when_confirmed) {
  prepared_statements all;
  keep(all, "s");
  all.close_sent(1, 'S', "s");
  all.confirmed(1);
  EXPECT_EQ(all.statement("s"), nullptr);
  keep(all, "", 2);
  all.parse_sent(3, "", nullptr);
  all.confirmed(3);
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(all.bytes(), 0U);
}

TEST(prepared_statements, a_simple_query_drops_the_unnamed_statement_only) {
  prepared_statements all;
  keep(all, "", 0);
  keep(all, "s", 1);
  all.query_sent(2);
  all.confirmed(2);
  EXPECT_EQ(all.statement(""), nullptr);
  EXPECT_NE(all.statement("s"), nullptr);
}

TEST(prepared_statements, portals_end_with_their_transaction) {
  prepared_statements all;
  keep(all, "s");
  all.bind_sent(1, "p", "s", some_bind);
  all.bind_sent(2, "later", "s", some_bind);
  all.confirmed(1);
  all.confirmed(2);
  all.transaction_ended(2);
  EXPECT_EQ(all.portal("p"), nullptr);
  EXPECT_NE(all.portal("later"), nullptr);
  EXPECT_NE(all.statement("s"), nullptr);
}

TEST(prepared_statements, a_portal_bound_anew_is_what_it_is_now) {
  prepared_statements all;
  keep(all, "s");
  all.bind_sent(1, "p", "s", some_bind);
  all.confirmed(1);
  all.bind_sent(2, "p", "harmless", some_bind);
  all.confirmed(2);
  EXPECT_EQ(all.portal("p"), nullptr);
  EXPECT_FALSE(all.may_be_suspect("p"));
}

TEST(prepared_statements, a_closed_statement_lives_on_in_its_portal) {
  prepared_statements all;
  keep(all, "s");
  all.bind_sent(1, "p", "s", some_bind);
  all.confirmed(1);
  all.close_sent(2, 'S', "s");
  all.confirmed(2);
  ASSERT_NE(all.portal("p"), nullptr);
  EXPECT_TRUE(all.may_be_suspect("p"));
  all.close_sent(3, 'P', "p");
  all.confirmed(3);
  EXPECT_TRUE(all.empty());
}

TEST(prepared_statements, what_they_take_is_counted_and_given_back) {
  prepared_statements all;
  for (std::uint64_t i = 0; i < 100; ++i) {
    all.parse_sent(2 * i, "s", kept("DROP TABLE t"));
    all.bind_sent(2 * i + 1, "p", "s", some_bind);
    if (i % 3 == 0) {
      all.abandoned_before(2 * i + 2);
      continue;
    }
    all.confirmed(2 * i);
    if (i % 3 == 1)
      all.confirmed(2 * i + 1);
    else
      all.abandoned_before(2 * i + 2);
  }
  EXPECT_GT(all.bytes(), some_bind.size());
  EXPECT_LT(all.bytes(), 1000U);
  all.transaction_ended(1000);
  all.close_sent(1000, 'S', "s");
  all.confirmed(1000);
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(all.bytes(), 0U);
}

TEST(prepared_statements, prepare_in_sql_is_one_of_them) {
  prepared_statements all;
  all.prepared_in_sql("q", kept("PREPARE q AS DELETE FROM t"));
  ASSERT_NE(all.statement("q"), nullptr);
  all.prepared_in_sql("q", kept("PREPARE q AS SELECT 1"));
  EXPECT_EQ(all.statement("q")->text, "PREPARE q AS SELECT 1");
  all.bind_sent(0, "", "q", some_bind);
  EXPECT_TRUE(all.may_be_suspect(""));
}

// NAMEDATALEN: to the server, names that begin with the same 63 bytes are one.
TEST(prepared_statements, names_are_compared_as_the_server_does) {
  const std::string same(63, 'a');
  prepared_statements all;
  all.parse_sent(0, same + "x", kept("DROP TABLE t"));
  all.bind_sent(1, same + "p", same + "y", some_bind);
  EXPECT_TRUE(all.may_be_suspect(same + "q"));
  all.confirmed(0);
  all.confirmed(1);
  EXPECT_NE(all.portal(same + "r"), nullptr);
  EXPECT_NE(all.statement(same), nullptr);
  EXPECT_EQ(all.statement(same.substr(1)), nullptr);
  all.close_sent(2, 'S', same + "z");
  all.confirmed(2);
  EXPECT_EQ(all.statement(same + "x"), nullptr);
}

}  // namespace
}  // namespace tidegate::core
