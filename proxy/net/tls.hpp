#pragma once
// TLS contexts made of the configuration, and what can be asked of an established session. OpenSSL stays
// behind this file and stream.cpp; the sessions themselves live in a stream or, while relaying, in the
// poller.
//
// Every context: TLS 1.2 or later, no renegotiation, no compression, ALPN "postgresql". A context is
// immutable and shared between threads; a reload makes a new one (context_slot) and sessions keep the one
// that they began with.

#include "config/settings.hpp"
#include "protocol/bytes.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <openssl/ssl.h>

namespace tidegate::net::tls {

struct ssl_deleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_deleter>;

// Why something could not be done, in words for a log line or a message: the file, and what OpenSSL says of
// it.
struct failure {
  std::string why;  // empty: nothing failed

  explicit operator bool() const { return !why.empty(); }
};
template <typename T>
using result = boost::system::result<T, failure>;

class context {
 public:
  explicit context(SSL_CTX* owned) : context_(owned) {}
  ~context() { SSL_CTX_free(context_); }
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  SSL_CTX* native() const { return context_; }

 private:
  SSL_CTX* context_;
};
using context_ptr = std::shared_ptr<const context>;

// For a listener. Null when its mode is disable. Session tickets are on; with verify-* each client must show
// a certificate signed by `ca`, and with require or less one is asked for when `ca` is there, so that the
// method cert can be used. Fails on files that cannot be read, do not belong together, or a key that
// everybody can read. The process ignores SIGPIPE from the first context on: OpenSSL writes to sockets by
// write(2).
result<context_ptr> make_listen_context(const config::listen_tls_settings& settings);

// Towards a server. Null when the mode is disable.
result<context_ptr> make_server_context(const config::server_tls_settings& settings);

// The context in force; reload swaps in a new one or, when the files are bad, keeps the old one and says why.
// Any thread may read while another reloads.
class context_slot {
 public:
  explicit context_slot(context_ptr first = nullptr) : current_(std::move(first)) {}
  context_ptr current() const { return current_.load(); }
  result<void> reload(const config::listen_tls_settings& settings);
  result<void> reload(const config::server_tls_settings& settings);

 private:
  std::atomic<context_ptr> current_;
};

// The hash for channel binding tls-server-end-point (RFC 5929 §4.1) of the server's certificate of this
// session: our own when `we_are_server`, else the peer's. None when the certificate's signature names no hash
// (Ed25519).
std::optional<protocol::byte_buffer> server_end_point(SSL* ssl, bool we_are_server);

// The client's certificate, when it showed one (it was verified in the handshake).
struct certificate_names {
  std::string common_name;         // empty when there is none, or when it holds a NUL
  std::string distinguished_name;  // RFC 2253
};
std::optional<certificate_names> peer_certificate(SSL* ssl);

// Whether both sides agreed on ALPN "postgresql", without which direct TLS is refused.
bool negotiated_postgresql(const SSL* ssl);

// "TLSv1.3 TLS_AES_256_GCM_SHA384": for logs and SHOW CLIENTS.
std::string describe(const SSL* ssl);

// The errors OpenSSL queued on this thread, as one line; empties the queue.
std::string take_errors();

}  // namespace tidegate::net::tls
