#include "protocol/extended_query.hpp"

#include "protocol/reader.hpp"
#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

TEST(parse, round_trips) {
  const byte_buffer body = encoded_body(parse{"s1", "select $1", {23, 0}}, 'P');
  const auto message = decode_parse(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->statement, "s1");
  EXPECT_EQ(message->query, "select $1");
  EXPECT_EQ(message->parameter_types, (std::vector<std::uint32_t>{23, 0}));
  expect_exact_length(body, decode_parse);
}

TEST(parse, takes_65535_parameters) {
  const byte_buffer body = encoded_body(parse{"", "", std::vector<std::uint32_t>(65535, 23)}, 'P');
  EXPECT_EQ(decode_parse(body)->parameter_types.size(), 65535u);
}

TEST(parse, refuses_a_count_beyond_the_body) {
  EXPECT_EQ(decode_parse(literal("s\0q\0\xff\xff")).error(), protocol_errc::bad_count);
  EXPECT_EQ(decode_parse(literal("s\0q\0\0\2\0\0\0\x17")).error(), protocol_errc::bad_count);
  EXPECT_EQ(decode_parse(literal("s\0q\0\0\1\0\0\0\x17\0")).error(), protocol_errc::trailing_bytes);
  EXPECT_EQ(decode_parse(literal("s\0q")).error(), protocol_errc::missing_terminator);
}

TEST(bind, round_trips) {
  const bind sent{{"p", "s"},
                  {format_code::binary, format_code::text, format_code::text},
                  {as_bytes("1"), std::nullopt, bytes{}},
                  {format_code::binary}};
  const byte_buffer body = encoded_body(sent, 'B');
  const auto message = decode_bind(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->names.portal, "p");
  EXPECT_EQ(message->names.statement, "s");
  EXPECT_EQ(message->parameter_formats, sent.parameter_formats);
  ASSERT_EQ(message->parameters.size(), 3u);
  EXPECT_EQ(as_text(message->parameters[0].value()), "1");
  EXPECT_FALSE(message->parameters[1].has_value());
  EXPECT_TRUE(message->parameters[2].value().empty());
  EXPECT_EQ(message->result_formats, sent.result_formats);
  expect_exact_length(body, decode_bind);
}

TEST(bind, takes_65535_parameters) {
  const bind sent{{}, {}, std::vector<std::optional<bytes>>(65535), {}};
  const byte_buffer body = encoded_body(sent, 'B');
  EXPECT_EQ(decode_bind(body)->parameters.size(), 65535u);
}

TEST(bind, refuses_counts_that_disagree_with_the_body) {
  const auto error = [](const auto& text) { return decode_bind(literal(text)).error(); };
  EXPECT_EQ(error("\0\0\xff\xff"), protocol_errc::bad_count);
  EXPECT_EQ(error("\0\0\0\0\xff\xff\0\0"), protocol_errc::bad_count);
  EXPECT_EQ(error("\0\0\0\0\0\0\xff\xff"), protocol_errc::bad_count);
  EXPECT_EQ(error("\0\0\0\2\0\0\0\0\0\1\xff\xff\xff\xff\0\0"), protocol_errc::bad_count);
  EXPECT_EQ(error("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"), protocol_errc::bad_length);
  EXPECT_EQ(error("\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"), protocol_errc::bad_length);
  EXPECT_EQ(error("\0\0\0\1\0\2\0\0\0\0"), protocol_errc::bad_value);
}

TEST(bind_names, are_read_without_the_values) {
  const byte_buffer body = literal("p\0s\0garbage");
  const auto names = decode_bind_names(body);
  ASSERT_TRUE(names);
  EXPECT_EQ(names->portal, "p");
  EXPECT_EQ(names->statement, "s");
  EXPECT_EQ(decode_bind_names(literal("p\0s")).error(), protocol_errc::missing_terminator);
}

TEST(describe_and_close, round_trip) {
  const byte_buffer described = encoded_body(describe{named_object::portal, "p"}, 'D');
  EXPECT_EQ(described, literal("Pp\0"));
  EXPECT_EQ(decode_describe(described)->kind, named_object::portal);
  expect_exact_length(described, decode_describe);
  const byte_buffer closed = encoded_body(close{named_object::statement, "s"}, 'C');
  EXPECT_EQ(closed, literal("Ss\0"));
  EXPECT_EQ(decode_close(closed)->name, "s");
  expect_exact_length(closed, decode_close);
}

TEST(describe_and_close, refuse_another_kind) {
  EXPECT_EQ(decode_describe(literal("Xp\0")).error(), protocol_errc::bad_value);
  EXPECT_EQ(decode_close(literal("\0p\0")).error(), protocol_errc::bad_value);
}

TEST(execute, round_trips) {
  const byte_buffer body = encoded_body(execute{"portal", -1}, 'E');
  EXPECT_EQ(decode_execute(body)->portal, "portal");
  EXPECT_EQ(decode_execute(body)->max_rows, -1);
  expect_exact_length(body, decode_execute);
}

TEST(parameter_description, round_trips) {
  const byte_buffer body = encoded_body(parameter_description{{1, 4000000000U}}, 't');
  EXPECT_EQ(decode_parameter_description(body)->types, (std::vector<std::uint32_t>{1, 4000000000U}));
  expect_exact_length(body, decode_parameter_description);
  EXPECT_EQ(decode_parameter_description(literal("\0\2\0\0\0\1")).error(), protocol_errc::bad_count);
}

TEST(messages_without_a_body, have_their_letter_and_nothing_else) {
  EXPECT_EQ(encoded(sync{}), literal("S\0\0\0\4"));
  EXPECT_EQ(encoded(flush{}), literal("H\0\0\0\4"));
  EXPECT_EQ(encoded(parse_complete{}), literal("1\0\0\0\4"));
  EXPECT_EQ(encoded(bind_complete{}), literal("2\0\0\0\4"));
  EXPECT_EQ(encoded(close_complete{}), literal("3\0\0\0\4"));
  EXPECT_EQ(encoded(no_data{}), literal("n\0\0\0\4"));
  EXPECT_EQ(encoded(portal_suspended{}), literal("s\0\0\0\4"));
}

}  // namespace
}  // namespace tidegate::protocol
