#include "protocol/simple_query.hpp"

#include "protocol/reader.hpp"
#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

TEST(query, round_trips_and_holds_exactly_one_string) {
  const byte_buffer body = encoded_body(query{"select 1; -- é"}, 'Q');
  EXPECT_EQ(decode_query(body)->text, "select 1; -- é");
  expect_exact_length(body, decode_query);
  EXPECT_EQ(decode_query(literal("select 1\0; drop table t\0")).error(), protocol_errc::trailing_bytes);
  EXPECT_EQ(decode_query(literal("select 1")).error(), protocol_errc::missing_terminator);
}

TEST(row_description, round_trips) {
  const byte_buffer body = encoded_body(row_description{{{"id", 16384, 1, 23, 4, -1, format_code::binary},
                                                         {"", 0, 0, 25, -1, 7, format_code::text}}},
                                        'T');
  const auto message = decode_row_description(body);
  ASSERT_TRUE(message);
  ASSERT_EQ(message->columns.size(), 2u);
  EXPECT_EQ(message->columns[0].name, "id");
  EXPECT_EQ(message->columns[0].table_oid, 16384u);
  EXPECT_EQ(message->columns[0].column_number, 1);
  EXPECT_EQ(message->columns[0].type_oid, 23u);
  EXPECT_EQ(message->columns[0].type_size, 4);
  EXPECT_EQ(message->columns[0].format, format_code::binary);
  EXPECT_EQ(message->columns[1].type_size, -1);
  EXPECT_EQ(message->columns[1].type_modifier, 7);
  expect_exact_length(body, decode_row_description);
}

TEST(row_description, takes_no_columns_and_1600) {
  EXPECT_TRUE(decode_row_description(literal("\0\0"))->columns.empty());
  const byte_buffer body = encoded_body(row_description{std::vector<column_description>(1600)}, 'T');
  EXPECT_EQ(decode_row_description(body)->columns.size(), 1600u);
}

TEST(row_description, refuses_counts_beyond_the_body_and_unknown_formats) {
  EXPECT_EQ(decode_row_description(literal("\xff\xff")).error(), protocol_errc::bad_count);
  EXPECT_EQ(decode_row_description(literal("\0\1short")).error(), protocol_errc::bad_count);
  EXPECT_EQ(decode_row_description(literal("\0\1x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2")).error(),
            protocol_errc::bad_value);
}

TEST(data_row, tells_null_from_empty) {
  const byte_buffer body = encoded_body(data_row{{as_bytes("a"), std::nullopt, bytes{}}}, 'D');
  const auto message = decode_data_row(body);
  ASSERT_TRUE(message);
  ASSERT_EQ(message->values.size(), 3u);
  EXPECT_EQ(as_text(message->values[0].value()), "a");
  EXPECT_FALSE(message->values[1].has_value());
  EXPECT_TRUE(message->values[2].value().empty());
  expect_exact_length(body, decode_data_row);
}

TEST(data_row, refuses_impossible_counts_and_lengths) {
  EXPECT_EQ(decode_data_row(literal("\xff\xff\0\0\0\0")).error(), protocol_errc::bad_count);
  EXPECT_EQ(decode_data_row(literal("\0\1\xff\xff\xff\xfe")).error(), protocol_errc::bad_length);
  EXPECT_EQ(decode_data_row(literal("\0\1\x7f\xff\xff\xff")).error(), protocol_errc::bad_length);
  EXPECT_EQ(decode_data_row(literal("\0\1\0\0\0\2a")).error(), protocol_errc::bad_length);
}

TEST(command_complete, round_trips) {
  const byte_buffer body = encoded_body(command_complete{"INSERT 0 1"}, 'C');
  EXPECT_EQ(decode_command_complete(body)->tag, "INSERT 0 1");
  expect_exact_length(body, decode_command_complete);
}

TEST(empty_query_response, has_no_body) {
  EXPECT_FALSE(check_empty(encoded_body(empty_query_response{}, 'I')));
}

TEST(function_call, round_trips) {
  const byte_buffer body = encoded_body(
      function_call{1598, {format_code::binary}, {as_bytes("x"), std::nullopt}, format_code::binary}, 'F');
  const auto message = decode_function_call(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->function_oid, 1598u);
  EXPECT_EQ(message->argument_formats, (std::vector{format_code::binary}));
  EXPECT_EQ(message->arguments.size(), 2u);
  EXPECT_EQ(message->result_format, format_code::binary);
  expect_exact_length(body, decode_function_call);
}

TEST(function_call, refuses_formats_that_disagree_with_the_arguments) {
  const byte_buffer body = encoded_body(
      function_call{1, {format_code::text, format_code::text}, {std::nullopt}, format_code::text}, 'F');
  EXPECT_EQ(decode_function_call(body).error(), protocol_errc::bad_count);
}

TEST(function_call_response, round_trips) {
  const byte_buffer body = encoded_body(function_call_response{as_bytes("12")}, 'V');
  EXPECT_EQ(as_text(decode_function_call_response(body)->value.value()), "12");
  expect_exact_length(body, decode_function_call_response);
  EXPECT_FALSE(decode_function_call_response(literal("\xff\xff\xff\xff"))->value.has_value());
}

}  // namespace
}  // namespace tidegate::protocol
