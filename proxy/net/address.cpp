#include "proxy/net/address.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include <netinet/in.h>

namespace tidegate::net {
namespace {

boost::asio::ip::address unmapped(const in6_addr& from, std::uint32_t scope) {
  boost::asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &from, bytes.size());
  const boost::asio::ip::address_v6 v6(bytes, scope);
  if (v6.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6);
  return v6;
}

bool same_prefix(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (whole > a.size() || whole > b.size()) return false;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  if (whole >= a.size() || whole >= b.size()) return false;
  const auto mask = static_cast<std::uint8_t>(0xff00u >> rest);
  return ((a[whole] ^ b[whole]) & mask) == 0;
}

}  // namespace

std::string peer_address::host() const {
  return is_unix ? "[local]" : ip.to_string();
}

std::string peer_address::to_string() const {
  if (is_unix) return host();
  if (ip.is_v6()) return "[" + ip.to_string() + "]:" + std::to_string(port);
  return ip.to_string() + ":" + std::to_string(port);
}

peer_address peer_of(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return peer_of(descriptor, storage);
}

peer_address peer_of(int descriptor, const sockaddr_storage& storage) {
  peer_address peer;
  if (storage.ss_family == AF_UNIX) {
    peer.is_unix = true;
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
      peer.credentials = peer_credentials{credentials.pid, credentials.uid, credentials.gid};
  } else if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof v4);
    peer.ip = boost::asio::ip::address_v4(ntohl(v4.sin_addr.s_addr));
    peer.port = ntohs(v4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &storage, sizeof v6);
    peer.ip = unmapped(v6.sin6_addr, v6.sin6_scope_id);
    peer.port = ntohs(v6.sin6_port);
  }
  return peer;
}

bool contains(const config::network& network, const peer_address& peer) {
  if (peer.is_unix || network.is_v6 != peer.ip.is_v6()) return false;
  if (network.is_v6) return same_prefix(network.bytes, peer.ip.to_v6().to_bytes(), network.bits);
  return same_prefix(std::span(network.bytes).first(4), peer.ip.to_v4().to_bytes(), network.bits);
}

}  // namespace tidegate::net
