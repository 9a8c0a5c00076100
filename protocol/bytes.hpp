#pragma once
// Bytes as every file of the codec sees them: a view that owns nothing, a buffer that grows, and the
// big-endian integers of the wire. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tidegate::protocol {

// Somebody else's bytes. What the decoders return points into the view they were given.
using bytes = std::span<const std::byte>;
using byte_buffer = std::vector<std::byte>;

inline bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view as_text(bytes data) noexcept {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// The big-endian integer at `at`; the caller has checked that its bytes are there.
inline std::uint16_t load_uint16(const std::byte* at) noexcept {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]));
}

inline std::uint32_t load_uint32(const std::byte* at) noexcept {
  return std::to_integer<std::uint32_t>(at[0]) << 24 | std::to_integer<std::uint32_t>(at[1]) << 16 |
         std::to_integer<std::uint32_t>(at[2]) << 8 | std::to_integer<std::uint32_t>(at[3]);
}

inline std::uint64_t load_uint64(const std::byte* at) noexcept {
  return std::uint64_t{load_uint32(at)} << 32 | load_uint32(at + 4);
}

inline void store_uint32(std::byte* at, std::uint32_t value) noexcept {
  at[0] = static_cast<std::byte>(value >> 24);
  at[1] = static_cast<std::byte>(value >> 16);
  at[2] = static_cast<std::byte>(value >> 8);
  at[3] = static_cast<std::byte>(value);
}

}  // namespace tidegate::protocol
