#include "proxy/metrics/http_server.hpp"

#include "proxy/log/log.hpp"

#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace tidegate::metrics {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

using request = http::request<http::empty_body>;
using response = http::response<http::string_body>;

response text_answer(http::status status, std::string body,
                     std::string_view type = "text/plain; charset=utf-8") {
  response answer(status, 11);
  answer.set(http::field::content_type, type);
  answer.body() = std::move(body);
  return answer;
}

response answer_to(const request& asked, const http_handlers& handlers) {
  const std::string_view target = asked.target().substr(0, asked.target().find('?'));
  const bool is_known = target == "/metrics" || target == "/healthz" || target == "/readyz";
  if (!is_known)
    return text_answer(http::status::not_found, "not found: /metrics, /healthz and /readyz are here\n");
  if (asked.method() != http::verb::get && asked.method() != http::verb::head) {
    response refused = text_answer(http::status::method_not_allowed, "only GET and HEAD\n");
    refused.set(http::field::allow, "GET, HEAD");
    return refused;
  }
  if (target == "/metrics") {
    return text_answer(http::status::ok, handlers.page(), "text/plain; version=0.0.4; charset=utf-8");
  }
  if (target == "/healthz") return text_answer(http::status::ok, "ok\n");
  readiness ready = handlers.readiness();
  if (ready.is_ready) return text_answer(http::status::ok, "ready\n");
  return text_answer(http::status::service_unavailable, std::move(ready.reason) + "\n");
}

// Why a request could not be read, as an answer; none: the peer is gone or too slow, and gets nothing.
std::optional<response> answer_to_bad_request(error_code why) {
  if (why == http::error::header_limit) {
    return text_answer(http::status::request_header_fields_too_large, "the header is too large\n");
  }
  if (why == http::error::body_limit || why == http::error::unexpected_body) {
    return text_answer(http::status::payload_too_large, "no body is taken\n");
  }
  if (why == http::error::end_of_stream || why == http::error::partial_message) return std::nullopt;
  if (why.category() == make_error_code(http::error::bad_version).category()) {
    return text_answer(http::status::bad_request, "not an HTTP request\n");
  }
  return std::nullopt;
}

}  // namespace

struct http_server::state : std::enable_shared_from_this<http_server::state> {
  state(asio::io_context& context, const tcp::endpoint& endpoint, http_handlers handlers_,
        http_limits limits_)
      : acceptor(context, endpoint), accept_timer(context), handlers(std::move(handlers_)), limits(limits_) {}

  static asio::awaitable<void> accept(std::shared_ptr<state> self);
  static asio::awaitable<void> serve(std::shared_ptr<state> self, std::shared_ptr<beast::tcp_stream> stream);
  asio::awaitable<bool> write(beast::tcp_stream& stream, const request& asked, response answer,
                              bool keep_alive) const;

  tcp::acceptor acceptor;
  asio::steady_timer accept_timer;
  const http_handlers handlers;
  const http_limits limits;
  std::unordered_set<beast::tcp_stream*> open;
  bool is_stopped = false;
};

asio::awaitable<void> http_server::state::accept(std::shared_ptr<state> self) {
  while (!self->is_stopped) {
    error_code failed;
    tcp::socket socket =
        co_await self->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failed));
    if (self->is_stopped || failed == asio::error::operation_aborted) co_return;
    if (failed) {
      // out of descriptors: the connection stays in the backlog, and trying again at once would spin
      log::warning<"http_accept_failed">({{"reason", failed.message()}});
      self->accept_timer.expires_after(self->limits.accept_pause);
      co_await self->accept_timer.async_wait(asio::redirect_error(asio::use_awaitable, failed));
      continue;
    }
    if (self->open.size() >= self->limits.connections) continue;  // closes the socket
    auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
    self->open.insert(stream.get());
    asio::co_spawn(self->acceptor.get_executor(), serve(self, stream),
                   [self, stream](const std::exception_ptr& thrown) {
                     self->open.erase(stream.get());
                     if (thrown) log::error<"http_request_failed">();
                   });
  }
}

asio::awaitable<void> http_server::state::serve(std::shared_ptr<state> self,
                                                std::shared_ptr<beast::tcp_stream> stream) {
  beast::flat_buffer buffer(self->limits.header_bytes);
  while (!self->is_stopped) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(self->limits.header_bytes));
    parser.body_limit(std::uint64_t{0});
    stream->expires_after(self->limits.request);
    error_code failed;
    co_await http::async_read(*stream, buffer, parser, asio::redirect_error(asio::use_awaitable, failed));
    if (failed == http::error::buffer_overflow) failed = http::error::header_limit;
    if (failed) {
      if (auto answer = answer_to_bad_request(failed))
        co_await self->write(*stream, {}, std::move(*answer), false);
      break;
    }
    const request asked = parser.release();
    if (!co_await self->write(*stream, asked, answer_to(asked, self->handlers), asked.keep_alive())) break;
  }
  error_code ignored;
  stream->socket().shutdown(tcp::socket::shutdown_send, ignored);
}

// Whether the connection can take another request.
asio::awaitable<bool> http_server::state::write(beast::tcp_stream& stream, const request& asked,
                                                response answer, bool keep_alive) const {
  answer.keep_alive(keep_alive);
  answer.set(http::field::cache_control, "no-store");
  answer.prepare_payload();
  stream.expires_after(limits.answer);
  error_code failed;
  if (asked.method() == http::verb::head) {
    http::response_serializer<http::string_body> serializer(answer);
    co_await http::async_write_header(stream, serializer, asio::redirect_error(asio::use_awaitable, failed));
  } else {
    co_await http::async_write(stream, answer, asio::redirect_error(asio::use_awaitable, failed));
  }
  co_return !failed && keep_alive;
}

http_server::http_server(asio::io_context& context, const tcp::endpoint& endpoint, http_handlers handlers,
                         http_limits limits)
    : state_(std::make_shared<state>(context, endpoint, std::move(handlers), limits)) {
  asio::co_spawn(context, state::accept(state_), [](const std::exception_ptr& thrown) {
    if (thrown) log::error<"http_server_failed">();
  });
}

http_server::~http_server() {
  stop();
}

tcp::endpoint http_server::local_endpoint() const {
  return state_->acceptor.local_endpoint();
}

void http_server::stop() {
  asio::post(state_->acceptor.get_executor(), [state = state_] {
    state->is_stopped = true;
    error_code ignored;
    state->acceptor.close(ignored);
    state->accept_timer.cancel();
    for (beast::tcp_stream* stream : state->open) stream->cancel();
  });
}

}  // namespace tidegate::metrics
