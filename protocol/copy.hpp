#pragma once
// COPY in both directions, and the two-way stream of replication. Views point into the body. Pure; any
// thread. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY

#include "protocol/bytes.hpp"
#include "protocol/format_code.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <string_view>
#include <vector>

namespace tidegate::protocol {

// A part of the stream; its borders mean nothing in COPY and are those of a record in replication.
struct copy_data {
  bytes data;
};

struct copy_done {};

struct copy_fail {
  std::string_view reason;
};

// Also the letter of the message that begins the stream.
enum class copy_direction : char {
  in = 'G',    // CopyInResponse: the client sends
  out = 'H',   // CopyOutResponse: the server sends
  both = 'W',  // CopyBothResponse: streaming replication
};

struct copy_response {
  copy_direction direction = copy_direction::in;
  format_code overall = format_code::text;
  std::vector<format_code> columns;
};

// Any bytes are well-formed copy data.
[[nodiscard]] result<copy_data> decode_copy_data(bytes body);
[[nodiscard]] result<copy_fail> decode_copy_fail(bytes body);
// The three responses have one layout; the letter of the message is the direction.
[[nodiscard]] result<copy_response> decode_copy_response(copy_direction direction, bytes body);

void encode(writer& to, const copy_data& message);
void encode(writer& to, copy_done);
void encode(writer& to, const copy_fail& message);
void encode(writer& to, const copy_response& message);

}  // namespace tidegate::protocol
