#include "proxy/pool/server_authentication.hpp"

#include "protocol/base64.hpp"
#include "protocol/message_types.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/stored_password.hpp"
#include "protocol/writer.hpp"
#include "proxy/net/slow_work.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <variant>

#include <boost/asio/error.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace tidegate::pool {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using reason = login_failure::reason;

login_failure fail(reason why, std::string_view state, std::string message, std::string detail = {}) {
  return {why, std::string(state), std::move(message), std::move(detail), {}};
}

login_failure unauthenticated(std::string message) {
  return fail(reason::unauthenticated, sqlstate::invalid_authorization_specification, std::move(message));
}

login_failure violation(std::string detail) {
  return fail(reason::violation, sqlstate::protocol_violation, "the server does not speak the protocol",
              std::move(detail));
}

login_failure out_of_order() {
  return violation("an authentication request out of order");
}

login_failure client_gone(boost::system::error_code ec) {
  if (ec == asio::error::timed_out)
    return fail(reason::timed_out, sqlstate::connection_failure, "the client did not answer in time");
  return fail(reason::client_gone, sqlstate::connection_failure, "the client is gone", ec.message());
}

std::string make_nonce() {
  std::array<std::byte, 18> random;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), random.size()) != 1)
    throw std::runtime_error("the system has no random bytes");
  return protocol::encode_base64(random);
}

template <typename Message>
protocol::byte_buffer encoded(const Message& message) {
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode(to, message);
  return out;
}

bool offers(const protocol::authentication_sasl& offered, std::string_view mechanism) {
  return std::find(offered.mechanisms.begin(), offered.mechanisms.end(), mechanism) !=
         offered.mechanisms.end();
}

}  // namespace

// Whether what goes to the server can be read on the way.
bool server_authentication::is_private() const {
  return server_.transport().is_tls() || request_.endpoint->is_unix();
}

// Between two connections without TLS at the client's side, the client answers by itself.
bool server_authentication::is_relayed() const {
  const auto* way = std::get_if<passthrough>(&request_.with);
  return way != nullptr && !way->client->transport().is_tls();
}

asio::awaitable<server_authentication::outcome> server_authentication::send(protocol::byte_buffer message) {
  const auto ec = co_await server_.write(message, until_);
  OPENSSL_cleanse(message.data(), message.size());
  if (!ec) co_return std::nullopt;
  const reason why = ec == asio::error::timed_out ? reason::timed_out : reason::unreachable;
  co_return fail(why, sqlstate::connection_failure, "lost the server during the login", ec.message());
}

asio::awaitable<server_authentication::outcome> server_authentication::relay(
    protocol::byte_buffer to_client) {
  net::message_stream& client = *std::get<passthrough>(request_.with).client;
  if (const auto ec = co_await client.write(to_client, until_)) co_return client_gone(ec);
  const auto answer = co_await client.read(protocol::max_authentication_length, until_);
  if (!answer) co_return client_gone(answer.error());
  if (answer->type != 'p')
    co_return fail(reason::client_gone, sqlstate::protocol_violation,
                   "expected an answer to the authentication request");
  co_return co_await send({answer->whole.begin(), answer->whole.end()});
}

asio::awaitable<server_authentication::outcome> server_authentication::learn_password(std::string_view method,
                                                                                      bool hash_will_do) {
  if (const auto* known = std::get_if<password>(&request_.with)) {
    const auto stored = protocol::parse_stored_password(known->text);
    is_hash_ = stored && std::holds_alternative<protocol::md5_hash>(*stored);
    if (is_hash_ && !hash_will_do)
      co_return unauthenticated("the server wants " + std::string(method) +
                                ", but the gateway has only the md5 hash of this user's password");
    password_ = known->text;
    co_return std::nullopt;
  }
  if (const auto* way = std::get_if<passthrough>(&request_.with)) {
    if (const auto ec =
            co_await way->client->write(encoded(protocol::authentication_cleartext_password{}), until_))
      co_return client_gone(ec);
    const auto answer = co_await way->client->read(protocol::max_authentication_length, until_);
    if (!answer) co_return client_gone(answer.error());
    const auto given = answer->type == 'p'
                           ? protocol::decode_password_message(answer->body)
                           : protocol::result<protocol::password_message>(protocol::protocol_errc::bad_value);
    if (!given) co_return fail(reason::client_gone, sqlstate::protocol_violation, "expected a password");
    if (given->password.empty())
      co_return fail(reason::unauthenticated, sqlstate::invalid_password,
                     "empty password returned by client");
    password_ = given->password;
    co_return std::nullopt;
  }
  co_return unauthenticated("the server wants " + std::string(method) +
                            ", for which the gateway has no password of this user");
}

asio::awaitable<server_authentication::outcome> server_authentication::on(
    protocol::authentication_cleartext_password) {
  if (step_ != step::nothing) co_return out_of_order();
  step_ = step::answered;
  if (!is_private())
    co_return unauthenticated(
        "the server wants the password in clear, which the gateway gives only under TLS");
  if (is_relayed()) co_return co_await relay(encoded(protocol::authentication_cleartext_password{}));
  if (auto failure = co_await learn_password("a password in clear", false)) co_return failure;
  auto answer = encoded(protocol::password_message{password_});
  OPENSSL_cleanse(password_.data(), password_.size());
  co_return co_await send(std::move(answer));
}

asio::awaitable<server_authentication::outcome> server_authentication::on(
    const protocol::authentication_md5_password& asked) {
  if (step_ != step::nothing) co_return out_of_order();
  step_ = step::answered;
  if (is_relayed()) co_return co_await relay(encoded(asked));
  if (auto failure = co_await learn_password("an md5 password", true)) co_return failure;

  const auto hash = is_hash_ ? protocol::result<protocol::md5_hash>(protocol::md5_hash{password_})
                             : protocol::hash_md5(password_, request_.user);
  OPENSSL_cleanse(password_.data(), password_.size());
  if (!hash) co_return unauthenticated("md5 authentication failed: " + hash.error().message());
  const auto response = protocol::md5_response(*hash, asked.salt);
  if (!response) co_return unauthenticated("md5 authentication failed: " + response.error().message());
  co_return co_await send(encoded(protocol::password_message{*response}));
}

asio::awaitable<server_authentication::outcome> server_authentication::on(
    const protocol::authentication_sasl& offered) {
  if (step_ != step::nothing) co_return out_of_order();
  step_ = step::sasl_begun;
  if (is_relayed()) {
    // The client's connection is not the one that the server could bind to.
    if (!offers(offered, protocol::scram_sha_256))
      co_return unauthenticated("the server offers no authentication that can be passed on to the client");
    protocol::authentication_sasl unbound;
    unbound.mechanisms.push_back(protocol::scram_sha_256);
    co_return co_await relay(encoded(unbound));
  }
  using flag = protocol::client_channel_binding::flag;
  protocol::client_channel_binding binding;
  if (server_.transport().is_tls()) {
    const auto end_point = net::tls::server_end_point(server_.transport().ssl(), false);
    if (end_point && offers(offered, protocol::scram_sha_256_plus)) {
      binding = {flag::bound, *end_point};
    } else if (end_point) {
      binding.kind = flag::refused;
    }
  }
  if (binding.kind != flag::bound && !offers(offered, protocol::scram_sha_256))
    co_return unauthenticated("the server offers no SASL mechanism that the gateway knows");
  if (!std::holds_alternative<scram_identity>(request_.with)) {
    if (auto failure = co_await learn_password("SCRAM-SHA-256", false)) co_return failure;
  }
  scram_.emplace(make_nonce(), std::move(binding));
  const std::string first = scram_->first_message();
  co_return co_await send(
      encoded(protocol::sasl_initial_response{scram_->mechanism(), protocol::as_bytes(first)}));
}

asio::awaitable<server_authentication::outcome> server_authentication::on(
    const protocol::authentication_sasl_continue& challenge) {
  if (step_ != step::sasl_begun) co_return out_of_order();
  step_ = step::sasl_continued;
  if (is_relayed()) co_return co_await relay(encoded(challenge));

  const auto wanted = scram_->on_server_first(protocol::as_text(challenge.data));
  if (!wanted) co_return violation("SCRAM with the server: " + wanted.error().message());
  protocol::scram_keys keys;
  if (const auto* known = std::get_if<scram_identity>(&request_.with)) {
    if (!wanted->fits(known->secret))
      co_return unauthenticated("the server stores another SCRAM secret for this user than the gateway");
    keys = known->keys;
  } else {
    auto derive = [this, &wanted] { return protocol::derive_scram_keys(password_, *wanted); };
    keys = co_await net::run_slowly(slow_work_, derive);
    OPENSSL_cleanse(password_.data(), password_.size());
  }
  const auto last = scram_->final_message(keys);
  if (!last) co_return violation("SCRAM with the server: " + last.error().message());
  co_return co_await send(encoded(protocol::sasl_response{protocol::as_bytes(*last)}));
}

asio::awaitable<server_authentication::outcome> server_authentication::on(
    const protocol::authentication_sasl_final& proof) {
  if (step_ != step::sasl_continued) co_return out_of_order();
  step_ = step::sasl_final;
  if (is_relayed()) {
    net::message_stream& client = *std::get<passthrough>(request_.with).client;
    if (const auto ec = co_await client.write(encoded(proof), until_)) co_return client_gone(ec);
    co_return std::nullopt;
  }
  if (const auto ec = scram_->on_server_final(protocol::as_text(proof.data)))
    co_return unauthenticated("the server did not prove that it knows the user's secret: " + ec.message());
  co_return std::nullopt;
}

server_authentication::outcome server_authentication::on_ok() {
  // Before SASLFinal it would come from a server that does not know the secret.
  if (step_ == step::sasl_begun || step_ == step::sasl_continued || step_ == step::ok) return out_of_order();
  // By the gateway's address, its user or its certificate: whoever the client claims to be would be let in.
  if (step_ == step::nothing && std::holds_alternative<passthrough>(request_.with))
    return unauthenticated(
        "the server lets the gateway in without asking for the client's password, so that passthrough "
        "would let in anybody");
  step_ = step::ok;
  return std::nullopt;
}

asio::awaitable<server_authentication::outcome> server_authentication::on_request(
    net::message_stream::message message) {
  const auto decoded = protocol::decode_authentication_request(message.body);
  if (!decoded) co_return violation("an authentication request: " + decoded.error().message());
  if (std::holds_alternative<protocol::authentication_ok>(*decoded)) co_return on_ok();
  if (const auto* asked = std::get_if<protocol::authentication_cleartext_password>(&*decoded))
    co_return co_await on(*asked);
  if (const auto* asked = std::get_if<protocol::authentication_md5_password>(&*decoded))
    co_return co_await on(*asked);
  if (const auto* asked = std::get_if<protocol::authentication_sasl>(&*decoded))
    co_return co_await on(*asked);
  if (const auto* asked = std::get_if<protocol::authentication_sasl_continue>(&*decoded))
    co_return co_await on(*asked);
  if (const auto* asked = std::get_if<protocol::authentication_sasl_final>(&*decoded))
    co_return co_await on(*asked);
  co_return unauthenticated("the server wants Kerberos, GSSAPI or SSPI, which the gateway does not have");
}

}  // namespace tidegate::pool
