#include "proxy/net/address.hpp"

#include <gtest/gtest.h>

namespace tidegate::net {
namespace {

config::network network(const char* address, unsigned bits) {
  config::network made;
  const auto ip = boost::asio::ip::make_address(address);
  made.is_v6 = ip.is_v6();
  made.bits = static_cast<std::uint8_t>(bits);
  if (ip.is_v6()) {
    made.bytes = ip.to_v6().to_bytes();
  } else {
    const auto v4 = ip.to_v4().to_bytes();
    std::copy(v4.begin(), v4.end(), made.bytes.begin());
  }
  return made;
}

peer_address peer(const char* address) {
  peer_address made;
  made.ip = boost::asio::ip::make_address(address);
  made.port = 5000;
  return made;
}

TEST(network, contains_what_shares_its_prefix) {
  EXPECT_TRUE(contains(network("10.0.0.0", 8), peer("10.255.1.2")));
  EXPECT_FALSE(contains(network("10.0.0.0", 8), peer("11.0.0.1")));
  EXPECT_TRUE(contains(network("192.168.1.128", 25), peer("192.168.1.200")));
  EXPECT_FALSE(contains(network("192.168.1.128", 25), peer("192.168.1.127")));
  EXPECT_TRUE(contains(network("127.0.0.1", 32), peer("127.0.0.1")));
  EXPECT_FALSE(contains(network("127.0.0.1", 32), peer("127.0.0.2")));
  EXPECT_TRUE(contains(network("2001:db8::", 33), peer("2001:db8:7fff::1")));
  EXPECT_FALSE(contains(network("2001:db8::", 33), peer("2001:db8:8000::1")));
}

TEST(network, of_no_bits_contains_its_family_only) {
  EXPECT_TRUE(contains(network("0.0.0.0", 0), peer("203.0.113.9")));
  EXPECT_FALSE(contains(network("0.0.0.0", 0), peer("::1")));
  EXPECT_FALSE(contains(network("::", 0), peer("203.0.113.9")));
}

TEST(network, never_contains_a_unix_socket) {
  peer_address local;
  local.is_unix = true;
  EXPECT_FALSE(contains(network("0.0.0.0", 0), local));
}

TEST(peer_address, is_written_as_people_write_it) {
  EXPECT_EQ(peer("192.0.2.7").to_string(), "192.0.2.7:5000");
  EXPECT_EQ(peer("2001:db8::7").to_string(), "[2001:db8::7]:5000");
  EXPECT_EQ(peer("2001:db8::7").host(), "2001:db8::7");
  peer_address local;
  local.is_unix = true;
  EXPECT_EQ(local.to_string(), "[local]");
}

}  // namespace
}  // namespace tidegate::net
