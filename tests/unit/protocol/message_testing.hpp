#pragma once
// What the tests of the message families share: a message as bytes, and the promise of every strict decoder
// that it takes exactly one length.

#include "protocol/frame.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tidegate::protocol {

template <typename Message>
byte_buffer encoded(const Message& message) {
  byte_buffer out;
  writer to(out);
  encode(to, message);
  return out;
}

// The body of a message with a type byte. Its frame must be right.
inline byte_buffer body_of(const byte_buffer& message, char type) {
  const auto peek = peek_frame(message, 0, max_backend_length);
  EXPECT_EQ(peek.status, frame_status::ready);
  EXPECT_EQ(peek.header.type, type);
  EXPECT_EQ(peek.header.total_size(), message.size());
  return {message.begin() + frame_header_size, message.end()};
}

template <typename Message>
byte_buffer encoded_body(const Message& message, char type) {
  return body_of(encoded(message), type);
}

// Text with \0 in it as a body.
template <std::size_t Size>
byte_buffer literal(const char (&text)[Size]) {
  const bytes data = as_bytes({text, Size - 1});
  return {data.begin(), data.end()};
}

// Every shorter body and a longer one are refused, and none of them crashes.
template <typename Decode>
void expect_exact_length(const byte_buffer& body, Decode decode) {
  ASSERT_TRUE(decode(bytes(body)).has_value());
  for (std::size_t size = 0; size < body.size(); ++size) {
    const byte_buffer part(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(decode(bytes(part)).has_value()) << "cut to " << size << " bytes";
  }
  byte_buffer longer = body;
  longer.push_back(std::byte{0});
  EXPECT_EQ(decode(bytes(longer)).error(), protocol_errc::trailing_bytes);
}

}  // namespace tidegate::protocol
