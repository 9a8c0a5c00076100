#pragma once
// From an accepted descriptor to a client whose name is known: TLS (SSLRequest or direct), GSSENCRequest,
// CancelRequest, startup packet, and authentication. A coroutine on the core that will serve the client.
// Whatever the client sends is untrusted: lengths are bounded, nothing is allocated by claim, and every
// refusal is a FATAL ErrorResponse in words.
//
// The client's AuthenticationOk is not sent here: it goes out with the server's parameters (greeting.hpp), so
// that a login costs one packet less and a server that refuses is heard before "ok".

#include "config/settings.hpp"
#include "protocol/bytes.hpp"
#include "protocol/startup.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/message_stream.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/session/authentication.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

namespace tidegate::session {

// What a handshake needs to know. One per listener and settings; outlives the handshakes that use it.
struct handshake_environment {
  std::shared_ptr<const config::settings> settings;
  std::size_t listen_index = 0;  // which entry of settings->listen the client came by
  net::tls::context_ptr tls;     // null when that entry's mode is disable
  secret_lookup lookup;
  boost::asio::thread_pool* slow_work = nullptr;
  std::array<std::byte, 32> mock_key{};          // random, of this process: salts for users that do not exist
  std::chrono::milliseconds failure_delay{100};  // before a failed authentication is answered
};

// A client that has proved who it is, or (passthrough) whose server will say so.
struct accepted_client {
  net::message_stream channel;
  std::string user;
  std::string database;          // the user's name when the client named none
  std::string application_name;  // empty when the client named none
  std::vector<pool::parameter>
      parameters;  // the rest of the startup packet in its order, without user, database and _pq_.*
  protocol::protocol_version version = protocol::protocol_3_0;  // 3.0 or 3.2: what was agreed with the client
  config::auth_method method = config::auth_method::reject;
  std::optional<pool::scram_identity> scram;  // after SCRAM
  // The password or its md5 hash, where the gateway has it in its files or from auth_query: it serves at the
  // server too.
  std::string secret;
  std::string identity;  // what was proved: user, or the certificate's distinguished name
  // AuthenticationSASLFinal when SCRAM ran here, else empty: greet() sends it before AuthenticationOk.
  protocol::byte_buffer welcome;
};

struct cancel_request {
  net::message_stream channel;
  std::int32_t pid = 0;
  protocol::byte_buffer key;
};

// The client is refused or gone; it has been told and the stream is closed. For log and metrics.
struct handshake_failure {
  enum class reason : std::uint8_t {
    gone,  // closed before it said anything (a health check), or in the middle
    timed_out,
    violation,       // not the protocol
    tls,             // the TLS handshake failed
    tls_required,    // the listener takes no client without TLS
    not_allowed,     // no rule, or rule reject
    authentication,  // wrong secret, unknown or expired user
    unavailable,     // the secret could not be looked up
  };
  reason why = reason::gone;
  std::string sqlstate;  // empty when nothing was sent
  std::string message;   // as the client got it, or why it got nothing
  std::string detail;    // for the log only
  net::peer_address peer;
  std::string user;  // as claimed; never a metric's label
  config::auth_method method =
      config::auth_method::reject;  // of the rule that applied; reject: there is none
};

using handshake_outcome = std::variant<accepted_client, cancel_request, handshake_failure>;

boost::asio::awaitable<handshake_outcome> shake_hands(
    net::stream client, std::shared_ptr<const handshake_environment> environment, net::deadline& until);

// Tells the client FATAL `sqlstate`: `message` (and detail, when there is one) and closes. For whoever
// refuses a client after its handshake: limits, draining, a server that cannot be reached.
boost::asio::awaitable<void> refuse(net::message_stream& client, std::string_view sqlstate,
                                    std::string_view message, std::string_view detail, net::deadline& until);

}  // namespace tidegate::session
