#include "proxy/session/client_handshake.hpp"

#include "protocol/notice.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/client_authentication.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using reason = handshake_failure::reason;

constexpr std::byte tls_handshake_record{0x16};
constexpr std::size_t longest_name =
    63;  // NAMEDATALEN - 1: PostgreSQL cuts the names of a startup packet there

handshake_failure fail(reason why, std::string_view state, std::string message, std::string detail = {}) {
  handshake_failure failure;
  failure.why = why;
  failure.sqlstate = state;
  failure.message = std::move(message);
  failure.detail = std::move(detail);
  return failure;
}

std::string cut_name(std::string_view name) {
  return std::string(name.substr(0, longest_name));
}

protocol::byte_buffer fatal(std::string_view state, std::string_view message, std::string_view detail) {
  protocol::notice error;
  error.severity = error.severity_untranslated = "FATAL";
  error.sqlstate = state;
  error.message = message;
  if (!detail.empty()) error.detail = detail;
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode_error_response(to, error);
  return out;
}

// "true", "on", "yes", "1" and their beginnings: physical replication. "database" is logical replication,
// which rules treat as any connection to that database.
bool asks_for_physical_replication(std::string_view value) {
  std::string lower(value);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (lower.empty()) return false;
  return std::string_view("true").starts_with(lower) || std::string_view("yes").starts_with(lower) ||
         lower == "on" || lower == "1";
}

// The steps of a handshake, in their order, and what they leave to the next.
class client_handshake {
 public:
  client_handshake(net::stream client, std::shared_ptr<const handshake_environment> environment,
                   net::deadline& until)
      : environment_(std::move(environment)),
        until_(until),
        client_{net::message_stream(std::move(client))} {}
  client_handshake(const client_handshake&) = delete;
  client_handshake& operator=(const client_handshake&) = delete;

  using outcome = std::optional<handshake_failure>;

  accepted_client& client() { return client_; }
  bool is_cancel() const { return is_cancel_; }
  cancel_request take_cancel_request() {
    return {std::move(client_.channel), cancel_pid_, std::move(cancel_key_)};
  }

  // Up to the packet that says what the client wants.
  asio::awaitable<outcome> begin() {
    bool is_direct = false;
    if (offers_tls()) {
      const auto first = co_await channel().transport().peek(until_);
      if (!first) co_return lost(first.error());
      is_direct = *first == tls_handshake_record;
    }
    if (is_direct) {
      if (auto failure = co_await begin_tls()) co_return failure;
      if (!net::tls::negotiated_postgresql(channel().transport().ssl()))
        co_return fail(reason::tls, sqlstate::protocol_violation,
                       "direct TLS without ALPN protocol \"postgresql\"");
    }
    bool may_ask_for_tls = !is_direct;
    bool may_ask_for_gss = !is_direct;
    // Most clients have sent it by now.
    if (const auto ec = channel().read_what_is_there()) co_return lost(ec);
    for (;;) {
      auto packet = channel().startup_at_hand();
      if (packet && !*packet) {
        const auto awaited = co_await channel().read_startup(until_);
        if (awaited)
          packet = *awaited;
        else
          packet = awaited.error();
      }
      if (!packet) {
        handshake_failure failure = lost(packet.error());
        // Whoever sends no startup packet at all does not speak the protocol, and is not answered in it.
        if (failure.why == reason::violation) failure.sqlstate.clear();
        co_return failure;
      }
      const auto decoded = protocol::decode_startup_packet((*packet)->body);
      if (!decoded) {
        handshake_failure failure = fail(reason::violation, sqlstate::protocol_violation,
                                         "invalid startup packet layout", decoded.error().message());
        if (protocol::is_cancel_request((*packet)->body)) failure.sqlstate.clear();
        co_return failure;
      }
      if (std::holds_alternative<protocol::ssl_request>(*decoded)) {
        if (!std::exchange(may_ask_for_tls, false)) co_return asked_again("SSLRequest");
        if (auto failure = co_await on_ssl_request()) co_return failure;
        // Encrypted already: not twice.
        if (channel().transport().is_tls()) may_ask_for_gss = false;
        continue;
      }
      if (std::holds_alternative<protocol::gssenc_request>(*decoded)) {
        if (!std::exchange(may_ask_for_gss, false)) co_return asked_again("GSSENCRequest");
        if (auto failure = co_await answer(protocol::refuse_encryption)) co_return failure;
        continue;
      }
      if (const auto* cancel = std::get_if<protocol::cancel_request>(&*decoded)) {
        is_cancel_ = true;
        cancel_pid_ = cancel->process_id;
        cancel_key_.assign(cancel->key.begin(), cancel->key.end());
        co_return std::nullopt;
      }
      if (const auto* unknown = std::get_if<protocol::unknown_version>(&*decoded))
        co_return fail(reason::violation, sqlstate::feature_not_supported,
                       "unsupported frontend protocol " + std::to_string(unknown->version.major) + "." +
                           std::to_string(unknown->version.minor) + ": server supports 3.0 to 3.2");
      const auto& startup = std::get<protocol::startup_message>(*decoded);
      take_over(startup);
      if (startup.version <= protocol::protocol_3_2 && startup.protocol_options().empty())
        co_return std::nullopt;
      co_return co_await negotiate(startup);
    }
  }

  // Who it is.
  asio::awaitable<outcome> log_in() {
    if (client_.user.empty())
      co_return fail(reason::violation, sqlstate::invalid_authorization_specification,
                     "no PostgreSQL user name specified in startup packet");
    if (auto failure = check_tls()) co_return failure;
    const connection_facts facts{channel().transport().peer(), channel().transport().is_tls(),
                                 is_physical_replication_, client_.database, client_.user};
    const config::auth_rule* rule = find_rule(environment_->settings->auth.rules, facts);
    if (rule == nullptr)
      co_return fail(reason::not_allowed, sqlstate::invalid_authorization_specification,
                     "no rule of auth.rules allows user \"" + client_.user + "\" from " + facts.peer.host() +
                         " to database \"" + client_.database + "\", " +
                         (facts.is_tls ? "with TLS" : "without TLS"));
    if (auto failure = check_certificate_name(*rule)) co_return failure;
    client_authentication authentication(client_, *environment_, until_);
    auto failure = co_await authentication.run(*rule);
    if (failure) failure->method = rule->method;
    co_return failure;
  }

  // The client is told of the failure, and goes.
  asio::awaitable<void> end(handshake_failure& failure) {
    failure.peer = channel().transport().peer();
    failure.user = client_.user;
    co_await tell(failure);
    channel().transport().close();
  }

 private:
  net::message_stream& channel() { return client_.channel; }
  const config::listen_tls_settings& tls_settings() const {
    return environment_->settings->listen[environment_->listen_index].tls;
  }
  bool offers_tls() { return environment_->tls && !channel().transport().peer().is_unix; }

  asio::awaitable<void> tell(const handshake_failure& failure) {
    if (failure.sqlstate.empty()) co_return;
    if (failure.why == reason::authentication && !until_.expired()) {
      // Guessing is no faster than this, however many the machine could check.
      asio::steady_timer pause(channel().transport().get_executor(), environment_->failure_delay);
      const net::deadline::interruption interruption(until_, [&pause] { pause.cancel(); });
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    // A client that was too slow is told so, but not waited for.
    net::deadline last_word(channel().transport().get_executor(), std::chrono::milliseconds(100));
    co_await channel().write(fatal(failure.sqlstate, failure.message, {}),
                             until_.expired() ? last_word : until_);
  }

  static handshake_failure asked_again(const std::string& what) {
    return fail(reason::violation, sqlstate::protocol_violation, what + " is not possible here");
  }

  // Answers a request for encryption with one byte. What the client sent behind its request came before it
  // could know the answer: taken as part of an encrypted session it would be an attack (CVE-2021-23214).
  asio::awaitable<outcome> answer(char how) {
    if (channel().has_unread())
      co_return fail(reason::violation, sqlstate::protocol_violation,
                     "received unencrypted data after a request for encryption");
    const auto byte = static_cast<std::byte>(how);
    if (const auto ec = co_await channel().write({&byte, 1}, until_)) co_return lost(ec);
    co_return std::nullopt;
  }

  asio::awaitable<outcome> on_ssl_request() {
    if (auto failure = co_await answer(offers_tls() ? protocol::accept_ssl : protocol::refuse_encryption))
      co_return failure;
    if (!offers_tls()) co_return std::nullopt;
    co_return co_await begin_tls();
  }

  asio::awaitable<outcome> begin_tls() {
    const auto failure = co_await channel().transport().accept_tls(environment_->tls, until_);
    if (!failure) co_return std::nullopt;
    // Nothing can be told on a connection whose TLS has failed but what TLS itself said.
    co_return fail(until_.expired() ? reason::timed_out : reason::tls, {}, "TLS handshake failed",
                   failure.why);
  }

  void take_over(const protocol::startup_message& startup) {
    client_.user = cut_name(startup.user());
    client_.database = cut_name(startup.database());
    for (const auto& [name, value] : startup.parameters) {
      if (name == "user" || name == "database" || name.starts_with(protocol::protocol_option_prefix))
        continue;
      if (name == "application_name") client_.application_name = value;
      if (name == "replication") is_physical_replication_ = asks_for_physical_replication(value);
      client_.parameters.push_back({std::string(name), std::string(value)});
    }
    client_.version = std::min(startup.version, protocol::protocol_3_2);
  }

  // Says which version of the protocol it will be, and which options are not known.
  asio::awaitable<outcome> negotiate(const protocol::startup_message& startup) {
    protocol::byte_buffer out;
    protocol::writer to(out);
    encode(to, protocol::negotiate_protocol_version{client_.version, startup.protocol_options()});
    if (const auto ec = co_await channel().write(out, until_)) co_return lost(ec);
    co_return std::nullopt;
  }

  outcome check_tls() {
    using config::tls_mode;
    const net::stream& transport = channel().transport();
    const tls_mode mode = tls_settings().mode;
    if (transport.peer().is_unix) return std::nullopt;
    if ((mode == tls_mode::require || mode == tls_mode::verify_ca || mode == tls_mode::verify_full) &&
        !transport.is_tls())
      return fail(reason::tls_required, sqlstate::invalid_authorization_specification,
                  "connections without TLS are not allowed here (sslmode=require or stronger is needed)");
    return std::nullopt;
  }

  // verify-full at a listener: the certificate names the user. Under the method cert the rule's map has the
  // say.
  outcome check_certificate_name(const config::auth_rule& rule) {
    const net::stream& transport = channel().transport();
    if (tls_settings().mode != config::tls_mode::verify_full || rule.method == config::auth_method::cert ||
        transport.peer().is_unix)
      return std::nullopt;
    const auto certificate = net::tls::peer_certificate(transport.ssl());
    if (certificate && !certificate->common_name.empty() && certificate->common_name == client_.user)
      return std::nullopt;
    auto failure = fail(reason::authentication, sqlstate::invalid_authorization_specification,
                        "the client certificate does not name user \"" + client_.user + "\"");
    failure.method = config::auth_method::cert;
    return failure;
  }

  std::shared_ptr<const handshake_environment> environment_;
  net::deadline& until_;
  accepted_client client_;
  bool is_physical_replication_ = false;
  bool is_cancel_ = false;
  std::int32_t cancel_pid_ = 0;
  protocol::byte_buffer cancel_key_;
};

}  // namespace

asio::awaitable<handshake_outcome> shake_hands(net::stream client,
                                               std::shared_ptr<const handshake_environment> environment,
                                               net::deadline& until) {
  client_handshake one(std::move(client), std::move(environment), until);
  auto failure = co_await one.begin();
  if (!failure && one.is_cancel()) co_return one.take_cancel_request();
  if (!failure) failure = co_await one.log_in();
  if (!failure) co_return std::move(one.client());
  co_await one.end(*failure);
  co_return std::move(*failure);
}

asio::awaitable<void> refuse(net::message_stream& client, std::string_view state, std::string_view message,
                             std::string_view detail, net::deadline& until) {
  co_await client.write(fatal(state, message, detail), until);
  client.transport().close();
}

}  // namespace tidegate::session
