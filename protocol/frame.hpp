#pragma once
// The frame of a message: one type byte, then a length that counts itself and the body but not the type byte.
// Packets of the startup family (startup.hpp) have the length alone. This is the data path: everything here
// is inline, allocates nothing and touches no byte of a body. Pure; any thread.
// https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS

#include "protocol/bytes.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>

namespace tidegate::protocol {

inline constexpr std::size_t frame_header_size = 5;

// The greatest length field that PostgreSQL takes from a client (PQ_LARGE_MESSAGE_LIMIT: one below its
// biggest allocation) and the greatest that it can send (a body of that size and the length field).
inline constexpr std::uint32_t max_frontend_length = 0x3ffffffe;
inline constexpr std::uint32_t max_backend_length = max_frontend_length + 4;

// The same limit before the client has proved who it is (PG_MAX_AUTH_TOKEN_LENGTH).
inline constexpr std::uint32_t max_authentication_length = 65535;

// Length field of a startup packet: at least the protocol version, at most MAX_STARTUP_PACKET_LENGTH.
inline constexpr std::uint32_t min_startup_length = 8;
inline constexpr std::uint32_t max_startup_length = 10000;

struct frame_header {
  char type = '\0';
  std::uint32_t length = 0;  // as on the wire: 4 + body

  std::size_t body_size() const noexcept { return length - 4; }
  std::size_t total_size() const noexcept { return frame_header_size + body_size(); }
};

enum class frame_status : std::uint8_t {
  ready,      // the header is there and its length is in bounds; the body may still be on its way
  need_more,  // fewer bytes than a header
  too_short,  // the length field is below 4: the stream is beyond repair
  too_long,   // the length field is beyond the bound
};

struct frame_peek {
  frame_status status;
  frame_header header;  // meaningful when ready
};

// Looks at the header at `position` (at most input.size()) without moving. `bound` is the greatest length
// field that the caller takes. A NUL as the type is given as it is: no message has it, the caller refuses it.
[[nodiscard]] inline frame_peek peek_frame(bytes input, std::size_t position, std::uint32_t bound) noexcept {
  assert(position <= input.size());
  if (input.size() - position < frame_header_size) return {frame_status::need_more, {}};
  const std::byte* at = input.data() + position;
  const std::uint32_t length = load_uint32(at + 1);
  if (length < 4) return {frame_status::too_short, {}};
  if (length > bound) return {frame_status::too_long, {}};
  return {frame_status::ready, {static_cast<char>(at[0]), length}};
}

}  // namespace tidegate::protocol
