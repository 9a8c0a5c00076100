#include "proxy/net/connection_ends.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <sys/socket.h>

namespace tidegate::net {

admin::connection_ends ends_of(const released_stream& connection) {
  admin::connection_ends out;
  if (connection.peer.is_unix) {
    out.address = out.local_address = "unix";
    if (connection.peer.credentials) out.process_id = connection.peer.credentials->pid;
    return out;
  }
  out.address = connection.peer.ip.to_string();
  out.port = connection.peer.port;
  boost::asio::ip::tcp::endpoint local;
  auto size = static_cast<socklen_t>(local.capacity());
  if (::getsockname(connection.descriptor, local.data(), &size) == 0) {
    out.local_address = local.address().to_string();
    out.local_port = local.port();
  }
  if (connection.ssl) out.tls = tls::describe(connection.ssl.get());
  return out;
}

}  // namespace tidegate::net
