#pragma once
// Where a server is and how it is spoken to: what a login, a cancel request and a log line need to know of
// it. Immutable, shared by every session of a database. A reload makes a new one.

#include "config/settings.hpp"
#include "proxy/net/tls.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace tidegate::pool {

struct server_endpoint {
  std::string host;  // IPv4, IPv6, a host name, or the folder of a unix socket ('/…')
  std::uint16_t port = 5432;
  config::tls_mode tls_mode = config::tls_mode::prefer;  // libpq's meaning; not used on unix sockets
  bool direct_tls = false;
  net::tls::context_ptr tls;  // null when tls_mode is disable

  bool is_unix() const { return !host.empty() && (host.front() == '/' || host.front() == '@'); }
  // "10.0.0.1:5432" or "/run/postgresql/.s.PGSQL.5432".
  std::string to_string() const;
};
using server_endpoint_ptr = std::shared_ptr<const server_endpoint>;

// The endpoint of a `databases` entry; `tls` is the entry's context (net::tls::make_server_context).
server_endpoint_ptr make_endpoint(const config::database_settings& database, net::tls::context_ptr tls);

// … of a gateway beside this one.
server_endpoint_ptr make_endpoint(const config::peer_settings& peer, net::tls::context_ptr tls);

}  // namespace tidegate::pool
