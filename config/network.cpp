#include "config/network.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace tidegate::config {
namespace {

std::uint8_t masked(std::uint8_t byte, int bits) {
  if (bits >= 8) return byte;
  if (bits <= 0) return 0;
  return static_cast<std::uint8_t>(byte & (0xFF << (8 - bits)));
}

}  // namespace

std::optional<ip_address> parse_address(std::string_view text) {
  static constexpr std::array<std::uint8_t, 12> v4_in_v6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  ip_address address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
  address.is_v6 = !std::equal(v4_in_v6.begin(), v4_in_v6.end(), address.bytes.begin());
  if (!address.is_v6) {
    std::copy_n(address.bytes.begin() + 12, 4, address.bytes.begin());
    std::fill(address.bytes.begin() + 4, address.bytes.end(), std::uint8_t{0});
  }
  return address;
}

std::optional<network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  network net;
  net.bytes = address->bytes;
  net.is_v6 = address->is_v6;
  net.bits = address->is_v6 ? 128 : 32;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    int bits = 0;
    const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || stopped != digits.data() + digits.size() || bits < 0 || bits > net.bits) {
      return std::nullopt;
    }
    net.bits = static_cast<std::uint8_t>(bits);
  }
  for (int i = 0; i < 16; ++i) {
    const auto byte = net.bytes[static_cast<std::size_t>(i)];
    if (masked(byte, net.bits - 8 * i) != byte) return std::nullopt;
  }
  return net;
}

bool contains(const network& net, const ip_address& address) {
  if (net.is_v6 != address.is_v6) return false;
  for (int i = 0; i * 8 < net.bits; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (masked(address.bytes[at], net.bits - 8 * i) != net.bytes[at]) return false;
  }
  return true;
}

}  // namespace tidegate::config
