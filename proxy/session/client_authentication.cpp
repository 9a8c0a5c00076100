#include "proxy/session/client_authentication.hpp"

#include "protocol/authentication.hpp"
#include "protocol/base64.hpp"
#include "protocol/frame.hpp"
#include "protocol/scram.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/net/random_bytes.hpp"
#include "proxy/net/slow_work.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <utility>
#include <variant>

#include <boost/asio/error.hpp>

namespace tidegate::session {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using protocol::authentication_errc;
using reason = handshake_failure::reason;

handshake_failure fail(reason why, std::string_view state, std::string message, std::string detail = {}) {
  handshake_failure failure;
  failure.why = why;
  failure.sqlstate = state;
  failure.message = std::move(message);
  failure.detail = std::move(detail);
  return failure;
}

handshake_failure violation(std::string message, std::string detail = {}) {
  return fail(reason::violation, sqlstate::protocol_violation, std::move(message), std::move(detail));
}

template <typename Message>
protocol::byte_buffer encoded(const Message& message) {
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode(to, message);
  return out;
}

// A password is derived anew for each login, with a salt of its own.
protocol::scram_secret derive_secret(std::string_view password) {
  protocol::scram_challenge challenge;
  challenge.salt.resize(16);
  net::random_bytes(challenge.salt);
  challenge.iterations = protocol::default_scram_iterations;
  const protocol::scram_keys keys = protocol::derive_scram_keys(password, challenge);
  return protocol::make_scram_secret(keys, std::move(challenge));
}

bool holds_plain_password(const config::auth_settings& settings) {
  return std::any_of(settings.users.begin(), settings.users.end(), [](const auto& user) {
    const auto stored = protocol::parse_stored_password(user.second);
    return stored && std::holds_alternative<protocol::plain_password>(*stored);
  });
}

// The client's fault in a SCRAM exchange; a wrong password is none.
bool is_violation(boost::system::error_code ec) {
  return ec != authentication_errc::wrong_proof && ec != authentication_errc::channel_binding_mismatch &&
         ec != authentication_errc::channel_binding_downgrade;
}

}  // namespace

handshake_failure lost(boost::system::error_code ec) {
  if (ec.category() == protocol::protocol_category()) return violation(ec.message());
  if (ec == asio::error::timed_out)
    return fail(reason::timed_out, sqlstate::protocol_violation, "canceling authentication due to timeout");
  return fail(reason::gone, {}, "the client closed the connection", ec.message());
}

handshake_failure client_authentication::wrong(std::string why) const {
  return fail(reason::authentication, sqlstate::invalid_password,
              "password authentication failed for user \"" + client_.user + "\"", std::move(why));
}

asio::awaitable<client_authentication::outcome> client_authentication::send(
    const protocol::byte_buffer& message) {
  if (const auto ec = co_await client_.channel.write(message, until_)) co_return lost(ec);
  co_return std::nullopt;
}

asio::awaitable<client_authentication::outcome> client_authentication::read_answer(protocol::bytes& body) {
  const auto message = co_await client_.channel.read(protocol::max_authentication_length, until_);
  if (!message) co_return lost(message.error());
  if (message->type == 'X') co_return fail(reason::gone, {}, "the client said goodbye");
  if (message->type != 'p')
    co_return violation("expected an answer to the authentication request, got message type " +
                        std::to_string(static_cast<unsigned char>(message->type)));
  body = message->body;
  co_return std::nullopt;
}

asio::awaitable<boost::system::result<std::optional<user_secret>>> client_authentication::find_secret() {
  const auto& users = environment_.settings->auth.users;
  if (const auto known = users.find(client_.user); known != users.end())
    co_return std::optional(user_secret{known->second, true});
  if (!environment_.lookup) co_return std::optional<user_secret>();
  co_return co_await environment_.lookup(client_.user, client_.database);
}

void client_authentication::keep(const protocol::stored_password& known) {
  if (const auto* plain = std::get_if<protocol::plain_password>(&known)) client_.secret = plain->text;
  if (const auto* hash = std::get_if<protocol::md5_hash>(&known)) client_.secret = hash->text;
}

asio::awaitable<client_authentication::outcome> client_authentication::run(const config::auth_rule& rule) {
  client_.method = rule.method;
  client_.identity = client_.user;
  switch (rule.method) {
    case config::auth_method::reject:
      co_return fail(reason::not_allowed, sqlstate::invalid_authorization_specification,
                     "a rule of auth.rules rejects connections of user \"" + client_.user +
                         "\" to database \"" + client_.database + "\"");
    case config::auth_method::cert:
      if (auto failure = check_certificate(rule)) co_return failure;
      [[fallthrough]];
    case config::auth_method::trust: {
      const auto& users = environment_.settings->auth.users;
      const auto known = users.find(client_.user);
      if (known == users.end()) co_return std::nullopt;
      if (const auto stored = protocol::parse_stored_password(known->second)) keep(*stored);
      co_return std::nullopt;
    }
    case config::auth_method::passthrough:
      co_return std::nullopt;
    case config::auth_method::scram_sha_256:
    case config::auth_method::md5:
      break;
  }

  const auto found = co_await find_secret();
  if (!found)
    co_return fail(reason::unavailable, sqlstate::connection_failure, "authentication is not available now",
                   "auth_query: " + found.error().message());
  std::optional<protocol::stored_password> known;
  if (*found && !(*found)->secret.empty()) {
    if (auto stored = protocol::parse_stored_password((*found)->secret)) known = std::move(*stored);
  }
  const bool may_log_in = *found && (*found)->may_log_in;
  const protocol::stored_password* secret = known ? &*known : nullptr;
  // As in PostgreSQL: under method md5 a user with a SCRAM secret is asked for that.
  const bool is_scram = rule.method == config::auth_method::scram_sha_256 ||
                        (secret != nullptr && std::holds_alternative<protocol::scram_secret>(*secret));
  if (is_scram) {
    if (auto failure = co_await check_scram(secret, may_log_in)) co_return failure;
  } else {
    if (auto failure = co_await check_md5(secret, may_log_in)) co_return failure;
  }
  keep(*secret);
  co_return std::nullopt;
}

client_authentication::outcome client_authentication::check_certificate(const config::auth_rule& rule) {
  const auto refused = [&](std::string detail) {
    return fail(reason::authentication, sqlstate::invalid_authorization_specification,
                "certificate authentication failed for user \"" + client_.user + "\"", std::move(detail));
  };
  SSL* ssl = client_.channel.transport().ssl();
  const auto certificate = ssl == nullptr ? std::nullopt : net::tls::peer_certificate(ssl);
  if (!certificate)
    return fail(reason::authentication, sqlstate::invalid_authorization_specification,
                "connection requires a valid client certificate");
  if (!certificate_allows(environment_.settings->auth, rule, *certificate, client_.user))
    return refused("the certificate names \"" + certificate->distinguished_name + "\"");
  client_.identity = certificate->distinguished_name;
  return std::nullopt;
}

asio::awaitable<protocol::scram_secret> client_authentication::scram_secret_of(
    const protocol::stored_password* known) {
  if (known != nullptr) {
    if (const auto* secret = std::get_if<protocol::scram_secret>(known)) co_return *secret;
  }
  const auto* plain = known == nullptr ? nullptr : std::get_if<protocol::plain_password>(known);
  auto derive = [plain] { return derive_secret(plain == nullptr ? "nobody" : plain->text); };
  if (plain != nullptr) co_return co_await net::run_slowly(*environment_.slow_work, derive);
  // Where a real user's answer may take the time of a derivation, a made-up one's takes it too.
  if (holds_plain_password(environment_.settings->auth))
    co_await net::run_slowly(*environment_.slow_work, derive);
  co_return protocol::mock_scram_secret(environment_.mock_key, client_.user);
}

asio::awaitable<client_authentication::outcome> client_authentication::check_scram(
    const protocol::stored_password* known, bool may_log_in) {
  // An md5 hash does not serve for SCRAM.
  const bool is_known = known != nullptr && !std::holds_alternative<protocol::md5_hash>(*known);
  protocol::scram_secret secret = co_await scram_secret_of(known);

  protocol::server_channel_binding binding;
  protocol::authentication_sasl offer;
  if (SSL* ssl = client_.channel.transport().ssl(); ssl != nullptr) {
    if (auto end_point = net::tls::server_end_point(ssl, true)) {
      binding.offered = true;
      binding.data = std::move(*end_point);
      offer.mechanisms.push_back(protocol::scram_sha_256_plus);
    }
  }
  offer.mechanisms.push_back(protocol::scram_sha_256);
  std::array<std::byte, 18> random;
  net::random_bytes(random);
  protocol::scram_server exchange(secret, is_known, protocol::encode_base64(random), std::move(binding));

  protocol::bytes body;
  if (auto failure = co_await send(encoded(offer))) co_return failure;
  if (auto failure = co_await read_answer(body)) co_return failure;
  const auto initial = protocol::decode_sasl_initial_response(body);
  if (!initial) co_return violation("malformed SASLInitialResponse", initial.error().message());
  const std::string mechanism(initial->mechanism);
  if (!initial->data) {
    // The client leaves the first word to the server, which has none.
    if (auto failure = co_await send(encoded(protocol::authentication_sasl_continue{}))) co_return failure;
    if (auto failure = co_await read_answer(body)) co_return failure;
  }
  const auto first =
      exchange.on_client_first(mechanism, protocol::as_text(initial->data ? *initial->data : body));
  if (!first) {
    if (is_violation(first.error())) co_return violation("malformed SCRAM message", first.error().message());
    co_return fail(reason::authentication, sqlstate::invalid_authorization_specification,
                   first.error().message());
  }
  if (auto failure =
          co_await send(encoded(protocol::authentication_sasl_continue{protocol::as_bytes(*first)})))
    co_return failure;
  if (auto failure = co_await read_answer(body)) co_return failure;
  const auto success = exchange.on_client_final(protocol::as_text(body));
  if (!success) {
    if (success.error() == authentication_errc::wrong_proof)
      co_return wrong(is_known ? "wrong password" : "no such user");
    if (is_violation(success.error()))
      co_return violation("malformed SCRAM message", success.error().message());
    co_return fail(reason::authentication, sqlstate::invalid_authorization_specification,
                   success.error().message());
  }
  if (!may_log_in) co_return wrong("the role may not log in, or its password has expired");
  client_.welcome = encoded(protocol::authentication_sasl_final{protocol::as_bytes(success->message)});
  // Keys that were derived here, with a salt of our own, are no proof anywhere else.
  if (std::holds_alternative<protocol::scram_secret>(*known))
    client_.scram = pool::scram_identity{{success->client_key, secret.server_key}, std::move(secret)};
  co_return std::nullopt;
}

asio::awaitable<client_authentication::outcome> client_authentication::check_md5(
    const protocol::stored_password* known, bool may_log_in) {
  protocol::authentication_md5_password request;
  net::random_bytes(request.salt);
  if (auto failure = co_await send(encoded(request))) co_return failure;
  protocol::bytes body;
  if (auto failure = co_await read_answer(body)) co_return failure;
  const auto answer = protocol::decode_password_message(body);
  if (!answer) co_return violation("malformed password message", answer.error().message());

  protocol::result<protocol::md5_hash> stored = protocol::hash_md5("nobody", client_.user);
  if (known != nullptr) {
    if (const auto* hash = std::get_if<protocol::md5_hash>(known)) stored = *hash;
    if (const auto* plain = std::get_if<protocol::plain_password>(known))
      stored = protocol::hash_md5(plain->text, client_.user);
  }
  if (!stored) co_return wrong("md5: " + stored.error().message());
  const auto expected = protocol::md5_response(*stored, request.salt);
  if (!expected) co_return wrong("md5: " + expected.error().message());
  const bool is_equal =
      protocol::equal_in_constant_time(protocol::as_bytes(*expected), protocol::as_bytes(answer->password));
  if (known == nullptr) co_return wrong("no such user");
  if (!is_equal) co_return wrong("wrong password");
  if (!may_log_in) co_return wrong("the role may not log in, or its password has expired");
  co_return std::nullopt;
}

}  // namespace tidegate::session
