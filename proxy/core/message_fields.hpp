#pragma once
// Reading single fields of a message in the receive buffer, without decoding all of it. Internal to
// proxy/core.

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace tidegate::core {

// Messages whose contents the session reads: how long such a one may be to be held until it is whole.
inline constexpr std::size_t longest_held = 64 * 1024;

// The gateway's own on every server, for a prepared statement and a portal. Clients that use it too find it
// taken away now and then.
inline constexpr std::string_view own_name = "tidegate";

// What a server looks at of the name of a statement or portal (NAMEDATALEN - 1): names that begin alike are
// the same to it.
inline std::string_view server_name(std::string_view name) {
  return name.substr(0, 63);
}

// A NUL-terminated string at `at`; moves behind it. False when there is no NUL.
inline bool take_string(std::span<const std::byte> message, std::size_t& at, std::string_view& out) {
  if (at >= message.size()) return false;
  const char* begin = reinterpret_cast<const char*>(message.data()) + at;
  const void* end = std::memchr(begin, 0, message.size() - at);
  if (end == nullptr) return false;
  out = {begin, static_cast<std::size_t>(static_cast<const char*>(end) - begin)};
  at += out.size() + 1;
  return true;
}

}  // namespace tidegate::core
