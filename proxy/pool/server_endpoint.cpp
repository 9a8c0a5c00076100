#include "proxy/pool/server_endpoint.hpp"

namespace tidegate::pool {

std::string server_endpoint::to_string() const {
  if (is_unix()) return host + "/.s.PGSQL." + std::to_string(port);
  if (host.find(':') != std::string::npos) return "[" + host + "]:" + std::to_string(port);
  return host + ":" + std::to_string(port);
}

server_endpoint_ptr make_endpoint(const config::database_settings& database, net::tls::context_ptr tls) {
  return std::make_shared<const server_endpoint>(server_endpoint{
      database.host, database.port, database.server_tls.mode, database.server_tls.direct, std::move(tls)});
}

server_endpoint_ptr make_endpoint(const config::peer_settings& peer, net::tls::context_ptr tls) {
  return std::make_shared<const server_endpoint>(
      server_endpoint{peer.host, peer.port, peer.tls.mode, peer.tls.direct, std::move(tls)});
}

}  // namespace tidegate::pool
