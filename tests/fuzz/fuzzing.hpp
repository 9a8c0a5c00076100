#pragma once
// What the fuzz targets share. An input for the message families is a type byte and a body, without the
// length.

#include "protocol/bytes.hpp"
#include "protocol/frame.hpp"
#include "protocol/writer.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace tidegate::fuzzing {

inline protocol::bytes input(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Ends the process as a finding.
inline void require(bool claim, const char* text) {
  if (claim) return;
  std::fprintf(stderr, "not true: %s\n", text);
  std::abort();
}

// The oracle of strict decoders: what was taken, encoded again, is the body that came.
template <typename Decoded>
void check_round_trip(protocol::bytes body, const Decoded& decoded,
                      std::size_t header = protocol::frame_header_size) {
  if (!decoded) return;
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode(to, *decoded);
  require(protocol::as_text(protocol::bytes(out).subspan(header)) == protocol::as_text(body),
          "a decoded message encodes to the same bytes");
}

}  // namespace tidegate::fuzzing
