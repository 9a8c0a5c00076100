#pragma once
// Logs in to a server: connect, TLS as libpq's sslmode says, startup packet, authentication, and everything
// up to the first ReadyForQuery. A coroutine on the client's core; nothing of a server's is trusted: lengths,
// counts, SCRAM parameters and the order of messages are bounded or refused.

#include "protocol/bytes.hpp"
#include "protocol/scram.hpp"
#include "protocol/startup.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/message_stream.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/pool/server_endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>

namespace tidegate::pool {

// A name and a value of a startup packet or of a ParameterStatus, byte for byte.
struct parameter {
  std::string name;
  std::string value;
  friend bool operator==(const parameter&, const parameter&) = default;
};

// What a client's SCRAM exchange with the gateway leaves behind: proof enough for a server that stores the
// same secret (same salt and iterations), though nobody here knows the password.
struct scram_identity {
  protocol::scram_keys keys;
  protocol::scram_secret secret;  // that the client was checked with
  bool operator==(const scram_identity&) const = default;
};

// How the gateway proves itself to the server.
struct no_credentials {  // trust, peer, or the endpoint's client certificate
  bool operator==(const no_credentials&) const = default;
};
struct password {
  std::string text;  // as it is, or as PostgreSQL's md5 hash ("md5" and 32 digits), which serves where the
                     // server wants md5
  bool operator==(const password&) const = default;
};
// The server authenticates the client (method passthrough). With TLS to the client the gateway asks it for
// the password when the server wants one, and keeps it no longer than the exchange; without,
// the authentication messages are relayed as they are. A server that asks nothing is refused: it would let in
// anybody. After a login the client still waits for AuthenticationOk.
struct passthrough {
  net::message_stream* client;
  bool operator==(const passthrough&) const = default;
};
using credentials = std::variant<no_credentials, password, scram_identity, passthrough>;

struct login_request {
  server_endpoint_ptr endpoint;
  std::string user;      // on the server
  std::string database;  // on the server
  std::vector<parameter>
      parameters;  // the client's others, in its order, `options` and `replication` included
  protocol::protocol_version version =
      protocol::protocol_3_0;  // the client's; 3.2 falls back to 3.0 when the server says so
  credentials with;
};

// A server connection that is ready for its first query.
struct logged_in_server {
  net::stream stream;
  std::vector<parameter> parameters;  // as reported, in the order of the first report, with the last value
  std::int32_t backend_pid = 0;       // 0: the server sent no BackendKeyData
  protocol::byte_buffer backend_key;  // the secret, opaque: 4 bytes in protocol 3.0, up to 256 in 3.2
  protocol::byte_buffer notices;      // NoticeResponses of the login, whole messages, for the client
  protocol::byte_buffer leftover;     // what came behind ReadyForQuery (nothing, of a server that behaves)
  protocol::protocol_version version = protocol::protocol_3_0;
  char transaction_status = 'I';
};

// Why there is no server. `raw` is the server's own ErrorResponse (a whole message), which goes to the client
// as it is; without it the gateway speaks: severity FATAL, `sqlstate`, `message`.
struct login_failure {
  enum class reason : std::uint8_t {
    unreachable,      // no connection
    timed_out,        // the deadline passed
    tls,              // TLS is wanted and could not be had
    refused,          // the server said no
    violation,        // the server does not speak the protocol
    unauthenticated,  // the server wants a proof that the gateway does not have, or must not give
    client_gone,      // passthrough: the client went away, or broke the protocol, while it was asked
  };
  reason why = reason::unreachable;
  std::string sqlstate;
  std::string message;  // of the server when it refused, else our own; one line, for the client
  std::string detail;   // what only the log gets: the server's address, what the system or OpenSSL said
  protocol::byte_buffer raw;
};

// At most so much is taken of a server before it is ready: enough for any real one, and no flood.
struct login_bounds {
  std::uint32_t message_bytes = 64 * 1024;  // one message
  std::uint32_t total_bytes = 1024 * 1024;  // all of them
  std::uint32_t parameters = 1000;
  std::uint32_t messages = 5000;
};

boost::asio::awaitable<boost::system::result<logged_in_server, login_failure>> log_in(
    login_request request, boost::asio::thread_pool& slow_work, net::deadline& until,
    login_bounds bounds = {});

// The failure as the client gets it: one whole ErrorResponse.
protocol::byte_buffer to_error_response(const login_failure& failure);

}  // namespace tidegate::pool
