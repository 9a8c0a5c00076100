#include "proxy/session/replies.hpp"

#include <string>

#include <gtest/gtest.h>

namespace tidegate::session {
namespace {

std::string text(const protocol::byte_buffer& bytes) {
  return std::string(protocol::as_text(bytes));
}

std::string field(const protocol::byte_buffer& message, char letter) {
  return std::string(field_of(message, letter));
}

const report full{.sqlstate = "55P03",
                  .message = "what",
                  .detail = "detail",
                  .hint = "hint",
                  .position = 12,
                  .schema = "s",
                  .table = "t",
                  .column = "c",
                  .constraint = "n"};

TEST(replies, an_error_carries_every_field) {
  const auto message = error(full);
  EXPECT_EQ(text(message)[0], 'E');
  EXPECT_EQ(field(message, 'S'), "ERROR");
  EXPECT_EQ(field(message, 'V'), "ERROR");
  EXPECT_EQ(field(message, 'C'), "55P03");
  EXPECT_EQ(field(message, 'M'), "what");
  EXPECT_EQ(field(message, 'D'), "detail");
  EXPECT_EQ(field(message, 'H'), "hint");
  EXPECT_EQ(field(message, 'P'), "12");
  EXPECT_EQ(field(message, 's'), "s");
  EXPECT_EQ(field(message, 't'), "t");
  EXPECT_EQ(field(message, 'c'), "c");
  EXPECT_EQ(field(message, 'n'), "n");
}

TEST(replies, what_is_not_there_is_left_out) {
  const auto message = notice({.sqlstate = "00000", .message = "what"});
  using namespace std::string_literals;
  EXPECT_EQ(text(message), "N\0\0\0\x22SNOTICE\0VNOTICE\0C00000\0Mwhat\0\0"s);
}

TEST(replies, severities_differ) {
  EXPECT_EQ(field(fatal("57P01", "ends"), 'V'), "FATAL");
  EXPECT_EQ(field(warning(full), 'V'), "WARNING");
  EXPECT_EQ(text(warning(full))[0], 'N');
}

TEST(replies, ready_for_query_tells_the_transaction) {
  using namespace std::string_literals;
  EXPECT_EQ(text(ready_for_query('T')), "Z\0\0\0\5T"s);
}

TEST(replies, positions_are_counted_in_characters) {
  const std::string sql = "SELECT 'naïve', x";  // ï has two bytes in UTF-8
  const auto at = static_cast<std::int32_t>(sql.find('x'));
  EXPECT_EQ(character_position(sql, at, true), 17);
  EXPECT_EQ(character_position(sql, at, false), 18);
  EXPECT_EQ(character_position(sql, 0, true), 1);
  EXPECT_EQ(character_position(sql, -1, true), 0);
  EXPECT_EQ(character_position(sql, 1000, true), 18);  // behind the end: nothing is read there
}

TEST(replies, fields_of_a_message_that_is_cut_or_empty_are_none) {
  const auto whole = error(full);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string_view found = field_of(protocol::bytes(whole).first(size), 'n');
    EXPECT_TRUE(found.empty() || found == "n");
  }
  EXPECT_EQ(field(whole, 'W'), "");
}

TEST(replies, a_position_moves_back_to_the_clients_text) {
  const auto moved = [](int position, int at, int inserted) {
    return field(
        with_position_moved(error({.sqlstate = "42601", .message = "m", .hint = "h", .position = position}),
                            at, inserted),
        'P');
  };
  EXPECT_EQ(moved(30, 8, 13), "17");
  EXPECT_EQ(moved(5, 8, 13), "5");   // before what was inserted
  EXPECT_EQ(moved(10, 8, 13), "8");  // inside it: where it begins
  EXPECT_EQ(moved(0, 8, 13), "");
  const auto kept = with_position_moved(error(full), 100, 13);
  EXPECT_EQ(text(kept), text(error(full)));
}

}  // namespace
}  // namespace tidegate::session
