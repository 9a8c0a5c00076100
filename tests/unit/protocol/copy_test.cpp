#include "protocol/copy.hpp"

#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

TEST(copy_data, is_its_bytes) {
  const byte_buffer body = encoded_body(copy_data{as_bytes("1\t2\n")}, 'd');
  EXPECT_EQ(as_text(decode_copy_data(body)->data), "1\t2\n");
  EXPECT_TRUE(decode_copy_data({})->data.empty());
}

TEST(copy_done, has_no_body) {
  EXPECT_EQ(encoded(copy_done{}), literal("c\0\0\0\4"));
}

TEST(copy_fail, round_trips) {
  const byte_buffer body = encoded_body(copy_fail{"no more"}, 'f');
  EXPECT_EQ(decode_copy_fail(body)->reason, "no more");
  expect_exact_length(body, decode_copy_fail);
}

TEST(copy_response, round_trips_in_every_direction) {
  for (const auto direction : {copy_direction::in, copy_direction::out, copy_direction::both}) {
    const copy_response sent{direction, format_code::binary, {format_code::binary, format_code::text}};
    const byte_buffer body = encoded_body(sent, static_cast<char>(direction));
    const auto message = decode_copy_response(direction, body);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->direction, direction);
    EXPECT_EQ(message->overall, format_code::binary);
    EXPECT_EQ(message->columns, sent.columns);
    expect_exact_length(body, [direction](bytes part) { return decode_copy_response(direction, part); });
  }
}

TEST(copy_response, refuses_unknown_formats_and_impossible_counts) {
  const auto error = [](const auto& text) {
    return decode_copy_response(copy_direction::in, literal(text)).error();
  };
  EXPECT_EQ(error("\2\0\0"), protocol_errc::bad_value);
  EXPECT_EQ(error("\0\0\1\0\2"), protocol_errc::bad_value);
  EXPECT_EQ(error("\0\xff\xff\0\0"), protocol_errc::bad_count);
}

}  // namespace
}  // namespace tidegate::protocol
