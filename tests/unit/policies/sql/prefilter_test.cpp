#include "policies/sql/prefilter.hpp"

#include "policies/sql/parse.hpp"
#include "tests/support/harmless_oracle.hpp"
#include "tests/unit/policies/sql/sql_cases.hpp"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

constexpr lexical_settings ordinary{};
constexpr lexical_settings backslashes{.standard_conforming_strings = false, .ascii_safe_encoding = true};
constexpr lexical_settings unsafe{.standard_conforming_strings = true, .ascii_safe_encoding = false};

TEST(prefilter, calls_every_trick_suspicious) {
  for (const std::string& text : read_cases("suspicious.txt")) {
    EXPECT_EQ(classify(text, ordinary), suspicion::suspicious) << text;
    EXPECT_EQ(classify(text, backslashes), suspicion::suspicious) << text;
  }
}

TEST(prefilter, calls_ordinary_work_harmless) {
  for (const std::string& text : read_cases("harmless.txt"))
    EXPECT_EQ(classify(text, ordinary), suspicion::harmless) << text;
}

TEST(prefilter, agrees_with_the_parser_on_every_harmless_case) {
  for (const std::string& text : read_cases("harmless.txt"))
    EXPECT_TRUE(is_harmless_to_the_parser(text, true)) << text;
}

TEST(prefilter, suspects_a_plain_backslash_only_when_it_may_escape) {
  EXPECT_EQ(classify(R"(SELECT 'x\'; DROP TABLE t; --')", ordinary), suspicion::suspicious);
  EXPECT_EQ(classify(R"(SELECT 'a\'';DROP TABLE t;--')", ordinary), suspicion::harmless);
  EXPECT_EQ(classify(R"(SELECT 'a\'';DROP TABLE t;--')", backslashes), suspicion::suspicious);
  EXPECT_EQ(classify(R"(SELECT '\d')", backslashes), suspicion::suspicious);
  EXPECT_EQ(classify(R"(SELECT E'\d')", backslashes), suspicion::harmless);
}

TEST(prefilter, suspects_high_bytes_of_an_encoding_that_hides_ascii_in_them) {
  EXPECT_EQ(classify("SELECT '\x95\x5c'", unsafe),
            suspicion::suspicious);  // SJIS 表, its second byte a backslash
  EXPECT_EQ(classify("SELECT '\x95\x5c'", ordinary), suspicion::harmless);
  EXPECT_EQ(classify("SELECT 1", unsafe), suspicion::harmless);
}

TEST(prefilter, suspects_zero_bytes) {
  using namespace std::string_literals;
  EXPECT_EQ(classify("SELECT 1\0"s, ordinary), suspicion::suspicious);
  EXPECT_EQ(classify("SELECT '\0'"s, ordinary), suspicion::suspicious);
}

// Pieces of tricks put together at random: whatever is called harmless is harmless to the parser.
TEST(prefilter, never_calls_harmless_what_the_parser_sees_as_ddl) {
  const std::vector<std::string> pieces = {"SELECT ",
                                           "1",
                                           "'",
                                           "''",
                                           "\\",
                                           "E'",
                                           "\"",
                                           "$$",
                                           "$a$",
                                           "/*",
                                           "*/",
                                           "--",
                                           "\n",
                                           ";",
                                           "DROP TABLE t",
                                           "(",
                                           ")",
                                           ",",
                                           "INTO ",
                                           "insert ",
                                           "WITH x AS ",
                                           "u",
                                           "U&'",
                                           "U&\"",
                                           "a",
                                           "$1",
                                           "x.",
                                           "set_config",
                                           "+",
                                           "-",
                                           "/",
                                           "*",
                                           " ",
                                           "count(*) ",
                                           "FROM t ",
                                           "VALUES ",
                                           "COPY t FROM ",
                                           "PROGRAM 'x'",
                                           "UPDATE pg_settings SET a=1",
                                           "1e",
                                           "b'",
                                           "n'",
                                           "é",
                                           "merge ",
                                           "TRUNCATE t",
                                           "DELETE FROM t ",
                                           "UPDATE t SET a = ",
                                           "delete ",
                                           "WHERE ",
                                           "where",
                                           "RETURNING ",
                                           "SEARCH DEPTH FIRST BY a SET b ",
                                           "CYCLE a SET b USING c ",
                                           "b = 1 ",
                                           "\r",
                                           "\t",
                                           "AS "};
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  int harmless = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string text = random() % 2 == 0 ? "SELECT " : "";
    for (unsigned n = 1 + random() % 12; n > 0; --n) text += pieces[random() % pieces.size()];
    for (const bool conforming : {true, false}) {
      if (classify(text, {conforming, true}) != suspicion::harmless) continue;
      ++harmless;
      ASSERT_TRUE(is_harmless_to_the_parser(text, conforming)) << text << " (seed " << seed << ")";
    }
  }
  EXPECT_GT(harmless, 500);
}

bool mentions(std::string_view text, std::string_view name, lexical_settings settings = ordinary) {
  const std::string_view names[] = {"other", name};
  return mentions_any(text, settings, names);
}

TEST(mentions_any, finds_a_name_however_it_is_spelled) {
  EXPECT_TRUE(mentions("SELECT * FROM orders", "orders"));
  EXPECT_TRUE(mentions("SELECT * FROM ORDERS", "orders"));
  EXPECT_TRUE(mentions("SELECT * FROM public.\"orders\"", "orders"));
  EXPECT_TRUE(mentions("SELECT * FROM U&\"\\006frders\"", "orders"));
  EXPECT_TRUE(mentions("SELECT * FROM \"Order Lines\"", "Order Lines"));
  EXPECT_TRUE(mentions("SELECT * FROM \"a\"\"b\"", "a\"b"));
  EXPECT_TRUE(mentions("DO 'BEGIN UPDATE Orders SET a = 1; END'", "orders"));
  EXPECT_TRUE(mentions("DO $$ BEGIN UPDATE Orders SET a = 1; END $$", "orders"));
  EXPECT_TRUE(mentions("SELECT 'open orders", "x"));
  EXPECT_TRUE(mentions("SELECT * FROM \xc4\xf6", "\xc3\xa4\xc3\xb6"));
  EXPECT_TRUE(mentions("SELECT 'a\\'", "x", backslashes));
}

TEST(mentions_any, passes_what_names_something_else) {
  EXPECT_FALSE(mentions("SELECT * FROM order_lines WHERE a = 'orders' -- orders", "orders"));
  EXPECT_FALSE(mentions("SELECT * FROM \"ORDERS\"", "orders"));
  EXPECT_FALSE(mentions("SELECT 1", "orders"));
}

TEST(mentions_any, finds_a_name_that_the_server_cuts) {
  const std::string long_name(80, 'a');
  EXPECT_TRUE(mentions("SELECT * FROM " + long_name, std::string(63, 'a')));
}

TEST(replication_command, is_told_by_its_first_word) {
  EXPECT_TRUE(is_replication_command("IDENTIFY_SYSTEM"));
  EXPECT_TRUE(is_replication_command(" start_replication SLOT a LOGICAL 0/0"));
  EXPECT_FALSE(is_replication_command("SELECT identify_system"));
}

TEST(reaches_prepared, by_the_word_a_statement_begins_with) {
  for (const std::string_view text : {"EXECUTE s", "execute s(1)", " /* x */ Execute s",
                                      "-- x\nFETCH ALL FROM p", "move p", ";; EXECUTE s"})
    EXPECT_TRUE(reaches_prepared(text)) << text;
  for (const std::string_view text : {"SELECT execute FROM t", "SELECT 'EXECUTE s'", "\"execute\" s",
                                      "executes s", "", "-- EXECUTE s", "$$EXECUTE s$$"})
    EXPECT_FALSE(reaches_prepared(text)) << text;
}

}  // namespace
}  // namespace tidegate::sql
