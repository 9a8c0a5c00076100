#include "protocol/saslprep.hpp"

#include <gtest/gtest.h>

namespace tidegate::protocol {
namespace {

// RFC 4013 §3, with PostgreSQL's leniency where the RFC wants an error.
TEST(saslprep, follows_the_examples_of_the_rfc) {
  EXPECT_EQ(saslprep("I\u00adX"), "IX");  // soft hyphen is nothing
  EXPECT_EQ(saslprep("user"), "user");
  EXPECT_EQ(saslprep("USER"), "USER");                  // case is kept
  EXPECT_EQ(saslprep("\u00aa"), "a");                   // NFKC
  EXPECT_EQ(saslprep("\u2168"), "IX");                  // NFKC
  EXPECT_EQ(saslprep("\x07"), "\x07");                  // prohibited: as it came
  EXPECT_EQ(saslprep("\u0627\u0031"), "\u0627\u0031");  // mixed directions: as it came
}

TEST(saslprep, keeps_ascii) {
  std::string ascii;
  for (char letter = 1; letter < 127; ++letter) ascii.push_back(letter);
  EXPECT_EQ(saslprep(ascii), ascii);
  EXPECT_EQ(saslprep(""), "");
}

TEST(saslprep, maps_spaces_and_drops_the_invisible) {
  EXPECT_EQ(saslprep("a\u00a0b\u3000c"), "a b c");
  EXPECT_EQ(saslprep("a\u2060\ufeffb"), "ab");
}

TEST(saslprep, composes) {
  EXPECT_EQ(saslprep("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(saslprep("\ufb01"), "fi");
  EXPECT_EQ(saslprep("\uff21"), "A");
  EXPECT_EQ(saslprep("\u1112\u1161\u11ab"), "\ud55c");    // Hangul
  EXPECT_EQ(saslprep("q\u0307\u0323"), "q\u0323\u0307");  // order of marks
  EXPECT_EQ(saslprep("\u0958"), "\u0915\u093c");          // excluded from composition
  EXPECT_EQ(saslprep("a\u0315\u0301"), "\u00e1\u0315");   // composes across a mark of another class
}

TEST(saslprep, uses_what_is_prohibited_or_not_utf8_as_it_came) {
  for (const std::string_view text : {"\xff", "a\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe9t\xe9", "\u00ad",
                                      "a\u0221", "\ue000\u00aa", "\u200e\u00aa", "x\U000e0001\u00aa"}) {
    EXPECT_EQ(saslprep(text), text);
  }
}

// Unassigned in Unicode 3.2, though its compatibility form (U+03DD) is not: PostgreSQL 15 takes it as it
// came.
TEST(saslprep, looks_for_the_prohibited_before_normalisation) {
  EXPECT_EQ(saslprep("\U0001d7cb"), "\U0001d7cb");
}

}  // namespace
}  // namespace tidegate::protocol
