#include "proxy/cli/screen.hpp"

#include <chrono>
#include <sstream>

#include <gtest/gtest.h>

namespace tidegate::cli {
namespace {

TEST(wrap, breaks_between_words_and_indents) {
  EXPECT_EQ(wrap("one two three", 9, 2), "  one two\n  three\n");
  EXPECT_EQ(wrap("one two three", 10, 3), "   one two\n   three\n");
}

TEST(wrap, keeps_lines_and_their_leading_spaces) {
  EXPECT_EQ(wrap("a\n  b\n\nc", 20, 0), "a\n  b\n\nc\n");
}

TEST(wrap, leaves_a_word_that_is_too_long_whole) {
  EXPECT_EQ(wrap("a abcdefgh b", 4, 0), "a\nabcdefgh\nb\n");
}

TEST(wrap, counts_characters_not_bytes) {
  EXPECT_EQ(wrap("äöü äöü", 7, 0), "äöü äöü\n");
}

TEST(numbers, are_grouped_and_times_rounded_up) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(500'000), "500,000");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(milliseconds(std::chrono::microseconds(2'711'001)), "2,712 ms");
}

TEST(screen, shows_an_error_as_psql_does) {
  std::ostringstream out;
  screen(out, false)
      .message({.severity = "ERROR", .message = "no", .detail = "why", .hint = "do\nthis", .position = 7},
               "ALTER TABLE t");
  EXPECT_EQ(out.str(),
            "   ERROR:  no\n"
            "   LINE 1: ALTER TABLE t\n"
            "                 ^\n"
            "   DETAIL:  why\n"
            "   HINT:  do\n"
            "   this\n");
}

TEST(screen, colours_only_when_asked_to) {
  std::ostringstream plain, coloured;
  screen(plain, false).line("text", screen::tone::good);
  screen(coloured, true).line("text", screen::tone::good);
  EXPECT_EQ(plain.str(), "   text\n");
  EXPECT_EQ(coloured.str(), "   \x1b[1;32mtext\x1b[0m\n");
}

}  // namespace
}  // namespace tidegate::cli
