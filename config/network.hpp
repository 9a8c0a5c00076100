#pragma once
// Addresses in authentication rules. Pure.

#include "config/settings.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::config {

// An IPv4 address as four bytes, an IPv6 one as sixteen. An IPv4 address inside IPv6 (::ffff:192.0.2.1, as a
// dual-stack listener sees it) counts as IPv4.
struct ip_address {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v6 = false;
};

std::optional<ip_address> parse_address(std::string_view text);

// "10.0.0.0/8", "::1/128", or an address alone. None when it is neither, or has bits set behind the prefix (a
// sign of a mistake, which PostgreSQL refuses too).
std::optional<network> parse_network(std::string_view text);

bool contains(const network& net, const ip_address& address);

}  // namespace tidegate::config
