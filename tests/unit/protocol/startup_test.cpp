#include "protocol/startup.hpp"

#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

// Behind the length, which must be right.
template <typename Message>
byte_buffer startup_body(const Message& message) {
  const byte_buffer packet = encoded(message);
  EXPECT_EQ(load_uint32(packet.data()), packet.size());
  return {packet.begin() + 4, packet.end()};
}

byte_buffer with_code(std::uint32_t code, std::string_view behind = {}) {
  byte_buffer body;
  writer to(body);
  to.uint32(code);
  to.raw(as_bytes(behind));
  return body;
}

startup_message decode_message(const byte_buffer& body) {
  return std::get<startup_message>(decode_startup_packet(body).value());
}

TEST(startup_message, round_trips_with_duplicates_in_order) {
  const std::vector<startup_parameter> parameters = {
      {"user", "first"}, {"database", "db"}, {"user", "second"}, {"options", ""}};
  const byte_buffer body = startup_body(startup_message{protocol_3_2, parameters});
  const startup_message message = decode_message(body);
  EXPECT_EQ(message.version, protocol_3_2);
  EXPECT_EQ(message.parameters, parameters);
  EXPECT_EQ(message.user(), "second");
  EXPECT_EQ(message.find("options"), "");
  EXPECT_EQ(message.find("replication"), std::nullopt);
  expect_exact_length(body, decode_startup_packet);
}

TEST(startup_message, database_is_the_user_when_none_is_named) {
  EXPECT_EQ((startup_message{protocol_3_0, {{"user", "ann"}}}.database()), "ann");
  EXPECT_EQ((startup_message{protocol_3_0, {{"user", "ann"}, {"database", ""}}}.database()), "ann");
  EXPECT_EQ((startup_message{protocol_3_0, {{"user", "ann"}, {"database", "db"}}}.database()), "db");
  EXPECT_EQ((startup_message{protocol_3_0, {}}.user()), "");
}

TEST(startup_message, lists_protocol_options) {
  const startup_message message{protocol_3_0,
                                {{"user", "a"}, {"_pq_.one", "1"}, {"_pq", "no"}, {"_pq_.two", ""}}};
  EXPECT_EQ(message.protocol_options(), (std::vector<std::string_view>{"_pq_.one", "_pq_.two"}));
}

TEST(startup_message, takes_every_minor_version_of_3) {
  const byte_buffer minor_1 = with_code(3 << 16 | 1, std::string_view("user\0a\0\0", 8));
  EXPECT_EQ(decode_message(minor_1).version, (protocol_version{3, 1}));
  const byte_buffer minor_9999 = with_code(3 << 16 | 9999, std::string_view("user\0a\0\0", 8));
  EXPECT_EQ(decode_message(minor_9999).version, (protocol_version{3, 9999}));
}

TEST(startup_message, recognises_other_major_versions_without_reading_on) {
  for (const std::uint32_t code : {0U, 2U << 16, 1U << 16, 4U << 16, 0xffffffffU, 1234U << 16 | 5681}) {
    const byte_buffer body = with_code(code, "garbage");
    const auto packet = decode_startup_packet(body);
    ASSERT_TRUE(packet) << code;
    EXPECT_EQ(std::get<unknown_version>(*packet).version.number(), code);
  }
}

TEST(startup_message, is_refused_when_its_list_does_not_end_with_the_packet) {
  const auto error = [](std::string_view list) {
    return decode_startup_packet(with_code(3 << 16, list)).error();
  };
  EXPECT_EQ(error({"", 0}), protocol_errc::missing_terminator);
  EXPECT_EQ(error({"user\0ann\0", 9}), protocol_errc::missing_terminator);
  EXPECT_EQ(error({"user\0ann", 8}), protocol_errc::missing_terminator);
  EXPECT_EQ(error({"user", 4}), protocol_errc::missing_terminator);
  EXPECT_EQ(error({"\0user\0ann\0\0", 11}), protocol_errc::trailing_bytes);
  EXPECT_EQ(error({"user\0ann\0\0x", 11}), protocol_errc::trailing_bytes);
}

TEST(encryption_requests, round_trip_and_have_nothing_behind) {
  const byte_buffer ssl = startup_body(ssl_request{});
  EXPECT_EQ(ssl, literal("\x04\xd2\x16\x2f"));
  EXPECT_TRUE(std::holds_alternative<ssl_request>(decode_startup_packet(ssl).value()));
  expect_exact_length(ssl, decode_startup_packet);
  const byte_buffer gss = startup_body(gssenc_request{});
  EXPECT_EQ(gss, literal("\x04\xd2\x16\x30"));
  EXPECT_TRUE(std::holds_alternative<gssenc_request>(decode_startup_packet(gss).value()));
  expect_exact_length(gss, decode_startup_packet);
}

TEST(cancel_request, takes_keys_of_4_to_256_bytes) {
  const byte_buffer key(300, std::byte{0xaa});
  for (const std::size_t size : {0, 1, 3, 4, 5, 32, 255, 256, 257, 300}) {
    const byte_buffer body = startup_body(cancel_request{-5, bytes(key).first(size)});
    const auto packet = decode_startup_packet(body);
    if (size < 4 || size > 256) {
      EXPECT_EQ(packet.error(), protocol_errc::bad_length) << size;
      continue;
    }
    ASSERT_TRUE(packet) << size;
    const auto& request = std::get<cancel_request>(*packet);
    EXPECT_EQ(request.process_id, -5);
    EXPECT_EQ(request.key.size(), size);
  }
  EXPECT_EQ(decode_startup_packet(with_code(80877102, "ab")).error(), protocol_errc::truncated);
}

TEST(cancel_request, is_recognised_when_it_is_malformed) {
  const byte_buffer key(4);
  const byte_buffer whole = startup_body(cancel_request{-5, bytes(key)});
  EXPECT_TRUE(is_cancel_request(whole));
  EXPECT_TRUE(is_cancel_request(bytes(whole).first(4)));
  EXPECT_FALSE(is_cancel_request(bytes(whole).first(3)));
  EXPECT_FALSE(is_cancel_request(startup_body(ssl_request{})));
}

TEST(startup_packet, is_refused_without_a_code) {
  EXPECT_EQ(decode_startup_packet({}).error(), protocol_errc::truncated);
  EXPECT_EQ(decode_startup_packet(literal("\0\3\0")).error(), protocol_errc::truncated);
}

TEST(negotiate_protocol_version, round_trips) {
  const byte_buffer body = encoded_body(negotiate_protocol_version{protocol_3_2, {"_pq_.a", "_pq_.b"}}, 'v');
  const auto message = decode_negotiate_protocol_version(body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->newest, protocol_3_2);
  EXPECT_EQ(message->unknown_options, (std::vector<std::string_view>{"_pq_.a", "_pq_.b"}));
  expect_exact_length(body, decode_negotiate_protocol_version);
}

TEST(negotiate_protocol_version, refuses_impossible_counts) {
  EXPECT_EQ(decode_negotiate_protocol_version(literal("\0\3\0\2\xff\xff\xff\xff")).error(),
            protocol_errc::bad_count);
  EXPECT_EQ(decode_negotiate_protocol_version(literal("\0\3\0\2\x7f\xff\xff\xff\0\0")).error(),
            protocol_errc::bad_count);
}

TEST(protocol_version, is_ordered_and_numbered_as_on_the_wire) {
  EXPECT_LT(protocol_3_0, protocol_3_2);
  EXPECT_EQ(protocol_3_2.number(), 196610u);
  EXPECT_EQ(protocol_version::from_number(131072), protocol_2_0);
}

}  // namespace
}  // namespace tidegate::protocol
