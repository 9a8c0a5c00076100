#include "protocol/session_info.hpp"

#include "tests/unit/protocol/message_testing.hpp"

namespace tidegate::protocol {
namespace {

TEST(parameter_status, round_trips) {
  const byte_buffer body = encoded_body(parameter_status{"TimeZone", "UTC"}, 'S');
  EXPECT_EQ(decode_parameter_status(body)->name, "TimeZone");
  EXPECT_EQ(decode_parameter_status(body)->value, "UTC");
  expect_exact_length(body, decode_parameter_status);
}

TEST(backend_key_data, takes_keys_of_4_to_256_bytes) {
  const byte_buffer key(300, std::byte{0xaa});
  for (const std::size_t size : {0, 3, 4, 32, 256, 257}) {
    const byte_buffer body = encoded_body(backend_key_data{4711, bytes(key).first(size)}, 'K');
    const auto message = decode_backend_key_data(body);
    EXPECT_EQ(message.has_value(), size >= 4 && size <= 256) << size;
    if (!message) continue;
    EXPECT_EQ(message->process_id, 4711);
    EXPECT_EQ(message->key.size(), size);
  }
  EXPECT_FALSE(decode_backend_key_data(literal("\0\0\0")));
}

TEST(ready_for_query, round_trips_every_status) {
  for (const auto status :
       {transaction_status::idle, transaction_status::in_transaction, transaction_status::failed}) {
    const byte_buffer body = encoded_body(ready_for_query{status}, 'Z');
    EXPECT_EQ(decode_ready_for_query(body)->status, status);
    expect_exact_length(body, decode_ready_for_query);
  }
  EXPECT_EQ(decode_ready_for_query(literal("X")).error(), protocol_errc::bad_value);
  EXPECT_EQ(decode_ready_for_query(literal("\0")).error(), protocol_errc::bad_value);
}

TEST(terminate, has_no_body) {
  EXPECT_EQ(encoded(terminate{}), literal("X\0\0\0\4"));
}

}  // namespace
}  // namespace tidegate::protocol
