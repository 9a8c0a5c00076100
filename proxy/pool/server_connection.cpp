#include "proxy/pool/server_connection.hpp"

#include "protocol/sqlstate.hpp"
#include "protocol/startup.hpp"
#include "protocol/writer.hpp"

#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

namespace tidegate::pool {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using config::tls_mode;
using reason = login_failure::reason;

login_failure unreachable(boost::system::error_code code, const server_endpoint& endpoint,
                          std::string detail) {
  const bool timed_out = code == asio::error::timed_out;
  return {
      timed_out ? reason::timed_out : reason::unreachable,
      std::string(sqlstate::connection_failure),
      timed_out ? "the server did not answer in time" : "could not connect to the server: " + code.message(),
      endpoint.to_string() + ": " + detail,
      {}};
}

login_failure without_tls(const server_endpoint& endpoint, const std::string& why) {
  return {reason::tls,
          std::string(sqlstate::connection_failure),
          "could not have TLS with the server",
          endpoint.to_string() + ": " + why,
          {}};
}

// SSLRequest and its answer. No failure: TLS may begin.
asio::awaitable<std::optional<login_failure>> ask_for_tls(net::message_stream& server,
                                                          const server_endpoint& endpoint,
                                                          net::deadline& until) {
  protocol::byte_buffer request;
  protocol::writer to(request);
  encode(to, protocol::ssl_request{});
  if (const auto ec = co_await server.write(request, until))
    co_return unreachable(ec, endpoint, ec.message());
  const auto answer = co_await server.read_byte(until);
  if (!answer)
    co_return unreachable(answer.error(), endpoint,
                          "no answer to an SSLRequest: " + answer.error().message());
  if (*answer == protocol::accept_ssl) co_return std::nullopt;
  if (*answer == protocol::refuse_encryption)
    co_return without_tls(endpoint, "the server does not support it");
  // An ErrorResponse here comes before anybody is known (CVE-2024-10977): its text is not passed on.
  co_return login_failure{reason::violation,
                          std::string(sqlstate::protocol_violation),
                          "the server does not speak the protocol",
                          endpoint.to_string() + ": the answer to an SSLRequest was neither S nor N",
                          {}};
}

}  // namespace

encryption_choice choose_encryption(const server_endpoint& endpoint) {
  if (endpoint.is_unix()) return {encryption::plain, std::nullopt};
  switch (endpoint.tls_mode) {
    case tls_mode::disable:
      return {encryption::plain, std::nullopt};
    case tls_mode::allow:
      return {encryption::plain, encryption::tls};
    case tls_mode::prefer:
      // libpq allows direct TLS only where falling back to plain is out of the question.
      return {encryption::tls, encryption::plain};
    case tls_mode::require:
    case tls_mode::verify_ca:
    case tls_mode::verify_full:
      break;
  }
  return {encryption::tls, std::nullopt};
}

asio::awaitable<boost::system::result<net::message_stream, login_failure>> open_connection(
    server_endpoint_ptr endpoint, encryption how, net::deadline& until) {
  auto connected = co_await net::connect(endpoint->host, endpoint->port, until);
  if (!connected) co_return unreachable(connected.error().code, *endpoint, connected.error().why);
  net::message_stream server(std::move(*connected));
  if (how == encryption::plain) co_return std::move(server);

  if (!endpoint->tls) co_return without_tls(*endpoint, "its context could not be made");
  if (!endpoint->direct_tls) {
    if (auto failure = co_await ask_for_tls(server, *endpoint, until)) co_return std::move(*failure);
  }
  const auto failure =
      co_await server.transport().connect_tls(endpoint->tls, endpoint->host, endpoint->tls_mode, until);
  if (failure) {
    login_failure told = without_tls(*endpoint, failure.why);
    if (until.expired()) told.why = reason::timed_out;
    co_return told;
  }
  if (endpoint->direct_tls && !net::tls::negotiated_postgresql(server.transport().ssl()))
    co_return without_tls(*endpoint, "direct TLS without ALPN \"postgresql\"");
  co_return std::move(server);
}

}  // namespace tidegate::pool
