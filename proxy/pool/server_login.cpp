#include "proxy/pool/server_login.hpp"

#include "protocol/message_types.hpp"
#include "protocol/notice.hpp"
#include "protocol/session_info.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/startup.hpp"
#include "protocol/writer.hpp"
#include "proxy/pool/server_authentication.hpp"
#include "proxy/pool/server_connection.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/error.hpp>

namespace tidegate::pool {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using protocol::backend_type;
using reason = login_failure::reason;
using outcome = std::optional<login_failure>;

// One try on one connection.
class login {
 public:
  login(net::message_stream server, const login_request& request, asio::thread_pool& slow_work,
        net::deadline& until, const login_bounds& bounds)
      : server_(std::move(server)),
        request_(request),
        until_(until),
        bounds_(bounds),
        authentication_(server_, request, slow_work, until) {}
  login(const login&) = delete;
  login& operator=(const login&) = delete;

  asio::awaitable<outcome> run() {
    version_ = request_.version;
    if (auto failure = co_await send_startup()) co_return failure;
    while (!is_ready_) {
      const auto message = co_await server_.read(bounds_.message_bytes, until_);
      if (!message) co_return broken(message.error());
      taken_bytes_ += message->whole.size();
      if (++taken_messages_ > bounds_.messages || taken_bytes_ > bounds_.total_bytes)
        co_return violation("more messages before ReadyForQuery than any login has");
      if (static_cast<backend_type>(message->type) == backend_type::authentication) {
        if (auto failure = co_await authentication_.on_request(*message)) co_return failure;
      } else if (auto failure = on_message(*message)) {
        co_return failure;
      }
    }
    co_return std::nullopt;
  }

  // Whether the server has refused without a word about authentication, so that sslmode may try the other
  // way.
  bool was_turned_away() const { return is_turned_away_; }

  logged_in_server take() {
    protocol::byte_buffer leftover = server_.take_unread();
    return {server_.take_transport(), std::move(parameters_), backend_pid_, std::move(backend_key_),
            std::move(notices_),      std::move(leftover),    version_,     status_};
  }

 private:
  asio::awaitable<outcome> send_startup() {
    protocol::startup_message startup{request_.version,
                                      {{"user", request_.user}, {"database", request_.database}}};
    for (const parameter& each : request_.parameters) startup.parameters.push_back({each.name, each.value});
    protocol::byte_buffer packet;
    protocol::writer to(packet);
    encode(to, startup);
    if (packet.size() > protocol::max_startup_length)
      co_return login_failure{reason::refused,
                              std::string(sqlstate::protocol_violation),
                              "invalid length of startup packet",
                              "too long with the names that it has on the server",
                              {}};
    if (const auto ec = co_await server_.write(packet, until_)) co_return broken(ec);
    co_return std::nullopt;
  }

  outcome on_message(const net::message_stream::message& message) {
    switch (static_cast<backend_type>(message.type)) {
      case backend_type::error_response:
        return refused(message);
      case backend_type::notice_response:
        notices_.insert(notices_.end(), message.whole.begin(), message.whole.end());
        return std::nullopt;
      case backend_type::negotiate_protocol_version:
        return on_negotiate(message.body);
      default:
        break;
    }
    if (!authentication_.is_ok()) return unexpected(message.type);
    switch (static_cast<backend_type>(message.type)) {
      case backend_type::parameter_status:
        return on_parameter(message.body);
      case backend_type::backend_key_data:
        return on_key(message.body);
      case backend_type::ready_for_query:
        return on_ready(message.body);
      default:
        return unexpected(message.type);
    }
  }

  outcome refused(const net::message_stream::message& message) {
    is_turned_away_ = !authentication_.has_begun() && !authentication_.is_ok();
    const auto error = protocol::decode_notice(message.body);
    if (!error) return violation("an ErrorResponse: " + error.error().message());
    login_failure failure{reason::refused,
                          std::string(error->sqlstate.value_or(sqlstate::connection_failure)),
                          std::string(error->message.value_or("the server refused the connection")),
                          std::string(error->detail.value_or("")),
                          {}};
    failure.raw.assign(message.whole.begin(), message.whole.end());
    return failure;
  }

  outcome on_negotiate(protocol::bytes body) {
    const auto answer = protocol::decode_negotiate_protocol_version(body);
    if (!answer) return violation("NegotiateProtocolVersion: " + answer.error().message());
    if (is_negotiated_ || authentication_.has_begun() || answer->newest.major != 3 ||
        answer->newest >= request_.version || !answer->unknown_options.empty())
      return violation("NegotiateProtocolVersion that answers nothing that was asked");
    is_negotiated_ = true;
    version_ = answer->newest;
    return std::nullopt;
  }

  outcome on_parameter(protocol::bytes body) {
    const auto status = protocol::decode_parameter_status(body);
    if (!status) return violation("ParameterStatus: " + status.error().message());
    const auto known = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&](const parameter& each) { return each.name == status->name; });
    if (known != parameters_.end()) {
      known->value = status->value;
      return std::nullopt;
    }
    if (parameters_.size() >= bounds_.parameters) return violation("more parameters than any server reports");
    parameters_.push_back({std::string(status->name), std::string(status->value)});
    return std::nullopt;
  }

  outcome on_key(protocol::bytes body) {
    const auto key = protocol::decode_backend_key_data(body);
    if (!key) return violation("BackendKeyData: " + key.error().message());
    backend_pid_ = key->process_id;
    backend_key_.assign(key->key.begin(), key->key.end());
    return std::nullopt;
  }

  outcome on_ready(protocol::bytes body) {
    const auto ready = protocol::decode_ready_for_query(body);
    if (!ready) return violation("ReadyForQuery: " + ready.error().message());
    status_ = static_cast<char>(ready->status);
    is_ready_ = true;
    return std::nullopt;
  }

  login_failure broken(boost::system::error_code ec) const {
    if (ec.category() == protocol::protocol_category()) return violation(ec.message());
    const bool timed_out = ec == asio::error::timed_out;
    return {timed_out ? reason::timed_out : reason::unreachable,
            std::string(sqlstate::connection_failure),
            timed_out ? "the server did not finish the login in time" : "lost the server during the login",
            request_.endpoint->to_string() + ": " + ec.message(),
            {}};
  }

  login_failure violation(const std::string& what) const {
    return {reason::violation,
            std::string(sqlstate::protocol_violation),
            "the server does not speak the protocol",
            request_.endpoint->to_string() + ": " + what,
            {}};
  }

  outcome unexpected(char type) const {
    return violation("message type " + std::to_string(static_cast<unsigned char>(type)) +
                     " during the login");
  }

  net::message_stream server_;
  const login_request& request_;
  net::deadline& until_;
  const login_bounds& bounds_;
  server_authentication authentication_;

  bool is_ready_ = false;
  bool is_negotiated_ = false;
  bool is_turned_away_ = false;
  std::size_t taken_bytes_ = 0;
  std::uint32_t taken_messages_ = 0;

  protocol::protocol_version version_;
  std::vector<parameter> parameters_;
  std::int32_t backend_pid_ = 0;
  protocol::byte_buffer backend_key_;
  protocol::byte_buffer notices_;
  char status_ = 'I';
};

// What one way of connecting led to.
struct attempt {
  std::optional<logged_in_server> server;
  login_failure failure;
  bool other_way = false;  // the other way of sslmode may succeed
};

asio::awaitable<attempt> try_login(const login_request& request, encryption how, asio::thread_pool& slow_work,
                                   net::deadline& until, const login_bounds& bounds) {
  auto opened = co_await open_connection(request.endpoint, how, until);
  if (!opened) {
    const bool is_tls = opened.error().why == reason::tls;
    co_return attempt{std::nullopt, opened.error(), is_tls};
  }
  login one(std::move(*opened), request, slow_work, until, bounds);
  if (auto failure = co_await one.run())
    co_return attempt{std::nullopt, std::move(*failure), one.was_turned_away()};
  co_return attempt{one.take(), {}, false};
}

}  // namespace

asio::awaitable<boost::system::result<logged_in_server, login_failure>> log_in(login_request request,
                                                                               asio::thread_pool& slow_work,
                                                                               net::deadline& until,
                                                                               login_bounds bounds) {
  const encryption_choice choice = choose_encryption(*request.endpoint);
  attempt first = co_await try_login(request, choice.first, slow_work, until, bounds);
  if (first.server) co_return std::move(*first.server);
  if (!first.other_way || !choice.second) co_return std::move(first.failure);
  attempt second = co_await try_login(request, *choice.second, slow_work, until, bounds);
  if (second.server) co_return std::move(*second.server);
  // "allow": a server that said no and has no TLS either is best told by what it said.
  if (second.failure.why == reason::tls) co_return std::move(first.failure);
  co_return std::move(second.failure);
}

protocol::byte_buffer to_error_response(const login_failure& failure) {
  if (!failure.raw.empty()) return failure.raw;
  protocol::notice error;
  error.severity = error.severity_untranslated = "FATAL";
  error.sqlstate = failure.sqlstate;
  error.message = failure.message;
  protocol::byte_buffer out;
  protocol::writer to(out);
  encode_error_response(to, error);
  return out;
}

}  // namespace tidegate::pool
