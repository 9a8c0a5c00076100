// Text for logs, and encodings.
#include "policies/sql/encoding.hpp"
#include "policies/sql/normalise.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::sql {
namespace {

TEST(normalise, leaves_the_shape_and_no_contents) {
  EXPECT_EQ(normalise("SELECT  a+1,'x''y' -- secret\n FROM t WHERE b = $1 AND c IN (1.5e3, $$z$$)", {}),
            "SELECT a+?,? FROM t WHERE b = $1 AND c IN (?, ?)");
  EXPECT_EQ(normalise("CREATE ROLE r PASSWORD 'secret' /* secret */", {}), "CREATE ROLE r PASSWORD ?");
  EXPECT_EQ(normalise("ALTER USER r PASSWORD E'se\\'cret'; SELECT U&'secret', x'ab'", {}),
            "ALTER USER r PASSWORD ?; SELECT ?, ?");
}

TEST(normalise, says_only_the_command_in_doubt) {
  EXPECT_EQ(normalise("create role r password 'secret", {}), "CREATE");
  EXPECT_EQ(normalise("ALTER ROLE r PASSWORD 'a\\' SECRET'", {.standard_conforming_strings = false}),
            "ALTER");
  EXPECT_EQ(normalise("SELECT '\x95\x5c'", {.ascii_safe_encoding = false}), "SELECT");
  EXPECT_EQ(normalise("secret 'x", {}), "");
}

TEST(normalise, keeps_its_limit_and_whole_characters) {
  EXPECT_EQ(normalise("SELECT abcdef", {}, 9), "SELECT ab");
  EXPECT_EQ(normalise("SELECT \xc3\xa4\xc3\xa4", {}, 10), "SELECT \xc3\xa4");
}

TEST(command_word, is_upper_case_or_nothing) {
  EXPECT_EQ(command_word(" /* a */ ((select 1"), "SELECT");
  EXPECT_EQ(command_word("; drop table t"), "DROP");
  EXPECT_EQ(command_word("password 'x'"), "");
}

TEST(encoding, knows_where_ascii_bytes_may_be_parts_of_characters) {
  for (const char* name :
       {"UTF8", "utf-8", "LATIN1", "EUC_JP", "WIN1252", "SQL_ASCII", "MULE_INTERNAL", "KOI8R"})
    EXPECT_TRUE(is_ascii_safe(name)) << name;
  for (const char* name : {"SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "SHIFT_JIS_2004", "unheard-of"})
    EXPECT_FALSE(is_ascii_safe(name)) << name;
}

TEST(encoding, becomes_utf8) {
  EXPECT_EQ(to_utf8("a\xe4", "LATIN1"), "a\xc3\xa4");
  EXPECT_EQ(to_utf8("\x95\x5c\\", "SJIS"), "\xe8\xa1\xa8\\");
  EXPECT_EQ(to_utf8("\\\\", "JOHAB"), "\\\\");
  EXPECT_EQ(to_utf8("\\~", "SHIFT_JIS_2004"), "\\~");
  EXPECT_EQ(to_utf8("\x81\x30\x81\x30'", "GB18030"), "\xc2\x80'");
  EXPECT_EQ(to_utf8("\xff", "UTF8"), std::nullopt);
  EXPECT_EQ(to_utf8("a", "SQL_ASCII"), std::nullopt);
}

// Its second byte is no backslash and no quote, whether the character is known or not.
TEST(encoding, what_can_not_be_converted_is_one_character) {
  EXPECT_EQ(to_utf8("\x87\x40\x95\x5c'", "SJIS"), "\xe2\x91\xa0\xe8\xa1\xa8'");
  EXPECT_EQ(to_utf8("\x85\x5c'", "SJIS"), "\xef\xbf\xbd'");
  EXPECT_EQ(to_utf8("\x80\x5c'", "GBK"), "\xef\xbf\xbd'");
  EXPECT_EQ(to_utf8("\x8f\xa1\xa1'", "JOHAB"), "\xef\xbf\xbd'");
  EXPECT_EQ(to_utf8("a\x95", "SJIS"), "a\xef\xbf\xbd");
}

TEST(encoding, comes_back_from_utf8) {
  EXPECT_EQ(from_utf8("a\xc3\xa4", "LATIN1"), "a\xe4");
  for (const char* encoding : {"SJIS", "BIG5", "GBK", "GB18030", "EUC_JP", "SHIFT_JIS_2004"}) {
    const auto bytes = from_utf8("\\~\xe8\xa1\xa8", encoding);
    ASSERT_TRUE(bytes) << encoding;
    EXPECT_EQ(bytes->substr(0, 2), "\\~") << encoding;
    EXPECT_EQ(to_utf8(*bytes, encoding), "\\~\xe8\xa1\xa8") << encoding;
  }
  EXPECT_EQ(from_utf8("\xef\xbf\xbd", "SJIS"), std::nullopt);
  EXPECT_EQ(from_utf8("\xe4", "LATIN1"), std::nullopt);
  EXPECT_EQ(from_utf8("ascii", "SQL_ASCII"), "ascii");
}

}  // namespace
}  // namespace tidegate::sql
