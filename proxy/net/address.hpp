#pragma once
// Who is at the other end of a descriptor, and whether a network of the configuration contains them. Values;
// any thread.

#include "config/settings.hpp"

#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <sys/socket.h>
#include <sys/types.h>

namespace tidegate::net {

// The process at the other end of a unix socket, as the kernel vouches for it (SO_PEERCRED).
struct peer_credentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};

struct peer_address {
  bool is_unix = false;
  boost::asio::ip::address ip;  // TCP only; IPv4 mapped into IPv6 is given as IPv4
  std::uint16_t port = 0;       // TCP only
  std::optional<peer_credentials> credentials;

  // "192.0.2.7:50123", "[2001:db8::7]:50123" or "[local]".
  std::string to_string() const;
  // Without the port: "192.0.2.7" or "[local]". What logs and limits group by.
  std::string host() const;
};

// The peer of a connected socket; an empty address when the kernel cannot say (the peer is gone).
peer_address peer_of(int descriptor);
// The same, of a connection whose address accept() has told.
peer_address peer_of(int descriptor, const sockaddr_storage& address);

// Whether the network contains the address. A unix socket is in no network.
bool contains(const config::network& network, const peer_address& peer);

}  // namespace tidegate::net
