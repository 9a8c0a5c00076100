#include "proxy/log/json.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::log {
namespace {

using namespace std::string_literals;

std::string json_of(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(json_string, keeps_plain_text_and_characters_of_every_length) {
  EXPECT_EQ(json_of("orders"), R"("orders")");
  EXPECT_EQ(json_of("é€😀"), "\"é€😀\"");
}

TEST(json_string, escapes_what_would_end_the_string_or_the_line) {
  EXPECT_EQ(json_of("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
  EXPECT_EQ(json_of("\0\x01\x1f\x7f"s), R"("\u0000\u0001\u001f\u007f")");
}

TEST(json_string, replaces_each_byte_that_is_no_utf8) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(json_of("a\xFFz"), "\"a" + replacement + "z\"");
  EXPECT_EQ(json_of("\xC0\xAF"), "\"" + replacement + replacement + "\"") << "overlong";
  EXPECT_EQ(json_of("\xED\xA0\x80"), "\"" + replacement + replacement + replacement + "\"") << "surrogate";
  EXPECT_EQ(json_of("\xF4\x90\x80\x80").size(), 2 + 4 * 3u) << "beyond U+10FFFF";
  EXPECT_EQ(json_of("\xE2\x82"), "\"" + replacement + replacement + "\"") << "cut short";
}

TEST(json_string, is_valid_for_every_pair_of_bytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      const std::string out = json_of(text);
      ASSERT_EQ(out.front(), '"');
      ASSERT_EQ(out.back(), '"');
      for (std::string_view rest = out; !rest.empty(); rest.remove_prefix(utf8_length(rest))) {
        ASSERT_GT(utf8_length(rest), 0u) << first << ' ' << second;
        ASSERT_GE(static_cast<unsigned char>(rest.front()), 0x20) << first << ' ' << second;
      }
    }
  }
}

TEST(utf8_prefix, never_cuts_a_character) {
  EXPECT_EQ(utf8_prefix("a€b", 10), "a€b");
  EXPECT_EQ(utf8_prefix("a€b", 4), "a€");
  EXPECT_EQ(utf8_prefix("a€b", 3), "a");
  EXPECT_EQ(utf8_prefix("\x80\x80\x80", 2), "");
}

}  // namespace
}  // namespace tidegate::log
