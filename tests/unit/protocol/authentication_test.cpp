#include "protocol/authentication.hpp"

#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

template <typename Message>
Message round_trip(const Message& message, const byte_buffer& body) {
  EXPECT_EQ(encoded_body(message, 'R'), body);
  const auto request = decode_authentication_request(body);
  EXPECT_TRUE(request);
  EXPECT_TRUE(std::holds_alternative<Message>(*request));
  return std::get<Message>(*request);
}

TEST(authentication_request, without_data_round_trips) {
  round_trip(authentication_ok{}, literal("\0\0\0\0"));
  round_trip(authentication_kerberos_v5{}, literal("\0\0\0\2"));
  round_trip(authentication_cleartext_password{}, literal("\0\0\0\3"));
  round_trip(authentication_gss{}, literal("\0\0\0\7"));
  round_trip(authentication_sspi{}, literal("\0\0\0\x09"));
  for (const auto& body : {literal("\0\0\0\0"), literal("\0\0\0\3"), literal("\0\0\0\7")}) {
    expect_exact_length(body, decode_authentication_request);
  }
}

TEST(authentication_request, with_data_round_trips) {
  const authentication_md5_password md5{{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}};
  const byte_buffer md5_body = literal("\0\0\0\5\1\2\3\4");
  EXPECT_EQ(round_trip(md5, md5_body).salt, md5.salt);
  expect_exact_length(md5_body, decode_authentication_request);

  const authentication_sasl sasl{{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}};
  const byte_buffer sasl_body = encoded_body(sasl, 'R');
  EXPECT_EQ(round_trip(sasl, sasl_body).mechanisms, sasl.mechanisms);
  expect_exact_length(sasl_body, decode_authentication_request);

  const bytes data = as_bytes("v=x");
  const byte_buffer gss_body = literal("\0\0\0\x08v=x");
  const byte_buffer continue_body = literal("\0\0\0\x0bv=x");
  const byte_buffer final_body = literal("\0\0\0\x0cv=x");
  EXPECT_EQ(as_text(round_trip(authentication_gss_continue{data}, gss_body).data), "v=x");
  EXPECT_EQ(as_text(round_trip(authentication_sasl_continue{data}, continue_body).data), "v=x");
  EXPECT_EQ(as_text(round_trip(authentication_sasl_final{data}, final_body).data), "v=x");
}

TEST(authentication_request, of_an_unknown_kind_is_refused) {
  for (const auto& body : {literal("\0\0\0\1"), literal("\0\0\0\4ab"), literal("\0\0\0\6"),
                           literal("\0\0\0\x0d"), literal("\xff\xff\xff\xff")}) {
    EXPECT_EQ(decode_authentication_request(body).error(), protocol_errc::bad_value);
  }
  EXPECT_EQ(decode_authentication_request({}).error(), protocol_errc::truncated);
  EXPECT_EQ(decode_authentication_request(literal("\0\0\0\x0aSCRAM")).error(),
            protocol_errc::missing_terminator);
  EXPECT_EQ(decode_authentication_request(literal("\0\0\0\x0aSCRAM\0")).error(),
            protocol_errc::missing_terminator);
}

TEST(password_message, round_trips_and_holds_exactly_one_string) {
  const byte_buffer body = encoded_body(password_message{"pässword"}, 'p');
  EXPECT_EQ(decode_password_message(body)->password, "pässword");
  expect_exact_length(body, decode_password_message);
  EXPECT_EQ(decode_password_message(literal("a\0b\0")).error(), protocol_errc::trailing_bytes);
}

TEST(sasl_initial_response, tells_absent_from_empty_data) {
  const byte_buffer with_data = encoded_body(sasl_initial_response{"SCRAM-SHA-256", as_bytes("n,,")}, 'p');
  const auto message = decode_sasl_initial_response(with_data);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(as_text(message->data.value()), "n,,");
  expect_exact_length(with_data, decode_sasl_initial_response);
  EXPECT_FALSE(decode_sasl_initial_response(literal("X\0\xff\xff\xff\xff"))->data.has_value());
  EXPECT_TRUE(decode_sasl_initial_response(literal("X\0\0\0\0\0"))->data.has_value());
  EXPECT_EQ(decode_sasl_initial_response(literal("X\0\xff\xff\xff\xfe")).error(), protocol_errc::bad_length);
  EXPECT_EQ(decode_sasl_initial_response(literal("X\0\x7f\xff\xff\xff")).error(), protocol_errc::bad_length);
}

TEST(sasl_and_gss_responses, are_their_bytes) {
  const byte_buffer sasl = encoded_body(sasl_response{as_bytes("c=")}, 'p');
  EXPECT_EQ(as_text(decode_sasl_response(sasl)->data), "c=");
  const byte_buffer gss = encoded_body(gss_response{as_bytes("tok")}, 'p');
  EXPECT_EQ(as_text(decode_gss_response(gss)->data), "tok");
}

}  // namespace
}  // namespace tidegate::protocol
