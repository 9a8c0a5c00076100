#pragma once
// Answers what a server asks for before it says AuthenticationOk: with the credentials of a login, or by way
// of the client (passthrough). One per login; what the server asks is checked for order, and refused when the
// answer would give away more than the connection protects.

#include "protocol/authentication.hpp"
#include "protocol/scram.hpp"
#include "proxy/net/deadline.hpp"
#include "proxy/net/message_stream.hpp"
#include "proxy/pool/server_login.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

namespace tidegate::pool {

class server_authentication {
 public:
  // Everything must outlive it.
  server_authentication(net::message_stream& server, const login_request& request,
                        boost::asio::thread_pool& slow_work, net::deadline& until)
      : server_(server), request_(request), slow_work_(slow_work), until_(until) {}

  // Takes an Authentication message of the server and answers it. A failure ends the login.
  boost::asio::awaitable<std::optional<login_failure>> on_request(net::message_stream::message message);

  // Whether the server has asked anything: before, a login may be tried again the other way (sslmode).
  bool has_begun() const { return step_ != step::nothing; }
  // Whether AuthenticationOk came and may be believed.
  bool is_ok() const { return step_ == step::ok; }

 private:
  using outcome = std::optional<login_failure>;
  enum class step : std::uint8_t {
    nothing,         // the server has said nothing yet
    answered,        // a password or its hash went out: only Ok may follow
    sasl_begun,      // SASLInitialResponse went out
    sasl_continued,  // SASLResponse went out
    sasl_final,      // the server has proved itself
    ok,
  };

  boost::asio::awaitable<outcome> on(protocol::authentication_cleartext_password);
  boost::asio::awaitable<outcome> on(const protocol::authentication_md5_password& asked);
  boost::asio::awaitable<outcome> on(const protocol::authentication_sasl& offered);
  boost::asio::awaitable<outcome> on(const protocol::authentication_sasl_continue& challenge);
  boost::asio::awaitable<outcome> on(const protocol::authentication_sasl_final& proof);
  outcome on_ok();

  // The password to answer with: the request's, which may be an md5 hash, or what the client says when it is
  // asked.
  boost::asio::awaitable<outcome> learn_password(std::string_view method, bool hash_will_do);
  // Sends `to_client` and the client's answer on to the server.
  boost::asio::awaitable<outcome> relay(protocol::byte_buffer to_client);
  boost::asio::awaitable<outcome> send(protocol::byte_buffer message);
  bool is_relayed() const;
  bool is_private() const;

  net::message_stream& server_;
  const login_request& request_;
  boost::asio::thread_pool& slow_work_;
  net::deadline& until_;
  step step_ = step::nothing;
  std::string password_;
  bool is_hash_ = false;
  std::optional<protocol::scram_client> scram_;
};

}  // namespace tidegate::pool
