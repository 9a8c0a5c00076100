#pragma once
// The connection under a login: an open stream to a server on which the next byte is the startup packet. Both
// a login and a cancel request begin here.

#include "proxy/net/message_stream.hpp"
#include "proxy/pool/server_endpoint.hpp"
#include "proxy/pool/server_login.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>

namespace tidegate::pool {

// Which way a mode tries first, and what is left to try when that way fails (libpq's table of sslmode).
enum class encryption : std::uint8_t { plain, tls };
struct encryption_choice {
  encryption first;
  std::optional<encryption> second;  // when the first cannot be had or the server refuses the login on it
};
encryption_choice choose_encryption(const server_endpoint& endpoint);

// Connects and, for `tls`, negotiates it by SSLRequest or directly. A server that answers 'N' is a failure of
// reason tls. Bytes that the server sends behind its 'S' before TLS begins are refused.
boost::asio::awaitable<boost::system::result<net::message_stream, login_failure>> open_connection(
    server_endpoint_ptr endpoint, encryption how, net::deadline& until);

}  // namespace tidegate::pool
