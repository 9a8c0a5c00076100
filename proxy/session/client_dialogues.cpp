// Of a session: what the gateway says to its server and client by itself while the client's direction is
// parked.

#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::byte flush_message[] = {std::byte{'H'}, std::byte{0}, std::byte{0}, std::byte{0},
                                       std::byte{4}};

}  // namespace

void client_session::run_dialogue(std::function<boost::asio::awaitable<void>(server_dialogue&)> what) {
  phase_ = phase::dialogue;
  inbox_ = std::exchange(server_pending_, {});
  spawn([this, what = std::move(what)]() -> boost::asio::awaitable<void> {
    server_dialogue server(*this);
    co_await what(server);
  });
}

session_memory& client_session::memory() {
  if (!memory_) memory_ = std::make_unique<session_memory>();
  memory_->enter(transactions_);
  return *memory_;
}

boost::asio::awaitable<bool> client_session::take_server() {
  if (!core_.pipeline().answered()) {
    if (core_.pipeline().unsynced()) {
      on_.poller.send(server_->channel, flush_message);
    }
    while (phase_ == phase::draining && !ended_) co_await wait_signal(clock::time_point::max());
  } else {
    phase_ = phase::dialogue;
    if (!server_pending_.empty()) inbox_ = std::exchange(server_pending_, {});
  }
  if (!ended_ && core_.pipeline().desynchronised())
    end(end_reason::protocol, protocol::sqlstate::protocol_violation,
        "the server's answers do not match the client's requests");
  co_return !ended_;
}

boost::asio::awaitable<std::optional<core::byte_view>> client_session::next_server_message(
    clock::time_point until) {
  for (;;) {
    if (ended_) co_return std::nullopt;
    const core::byte_view waiting = core::byte_view(inbox_).subspan(inbox_begin_);
    const auto peek = protocol::peek_frame(waiting, 0, static_cast<std::uint32_t>(inbox_bound) - 16);
    if (peek.status == protocol::frame_status::ready && waiting.size() >= peek.header.total_size()) {
      inbox_begin_ += peek.header.total_size();
      const core::byte_view message = waiting.first(peek.header.total_size());
      if (!is_fatal(message)) co_return message;
      send_to_client(message);  // the server's last word is the client's to hear
      end(end_reason::server_gone);
      co_return std::nullopt;
    }
    if (peek.status == protocol::frame_status::too_short || peek.status == protocol::frame_status::too_long) {
      end(end_reason::protocol, protocol::sqlstate::protocol_violation, "the server sent an invalid message");
      co_return std::nullopt;
    }
    if (clock::now() >= until) co_return std::nullopt;
    inbox_.erase(inbox_.begin(),
                 inbox_.begin() + static_cast<std::ptrdiff_t>(std::exchange(inbox_begin_, 0)));
    update_reading();
    co_await wait_signal(until);
  }
}

void client_session::send_to_server(core::byte_view bytes) {
  if (ended_) return;
  metrics_.user->bytes_sent[metrics::side::server].add(bytes.size());
  on_.poller.send(server_->channel, bytes);
}

void client_session::send_to_client(core::byte_view bytes) {
  if (ended_) return;
  metrics_.user->bytes_sent[metrics::side::client].add(bytes.size());
  on_.poller.send(client_, bytes);
}

boost::asio::awaitable<bool> client_session::relay_answer(core::byte_view message) {
  core_.forwarded(message);
  if (core_.pipeline().answered()) {  // a server that skips to the next Sync says nothing
    send_to_server(message);
    co_return !ended_;
  }
  phase_ = phase::answering;
  query_running_ = true;
  query_since_ = clock::now();
  send_to_server(message);
  // Inside a batch the server keeps its answer until Sync or Flush.
  if (static_cast<char>(message[0]) != 'Q') send_to_server(flush_message);
  update_reading();
  if (inbox_begin_ != inbox_.size()) {
    const auto early = std::exchange(inbox_, {});
    from_server(core::byte_view(early).subspan(std::exchange(inbox_begin_, 0)));
  }
  while (phase_ == phase::answering && !ended_) co_await wait_signal(clock::time_point::max());
  co_return !ended_;
}

boost::asio::awaitable<std::optional<char>> client_session::peek_client(clock::time_point until) {
  wants_client_ = true;
  while (client_pending_.empty() && !client_gone() && !client_read_ended_ && clock::now() < until) {
    update_reading();
    co_await wait_signal(until);
  }
  wants_client_ = false;
  update_reading();
  if (client_pending_.empty() || ended_) co_return std::nullopt;
  co_return static_cast<char>(client_pending_.front());
}

boost::asio::awaitable<bool> client_session::pause(clock::duration duration) {
  const auto until = clock::now() + duration;
  while (clock::now() < until) {
    if (client_gone() || cancel_requested_) co_return false;
    co_await wait_signal(until);
  }
  co_return !client_gone() && !cancel_requested_;
}

boost::asio::awaitable<void> client_session::cancel_server() {
  net::deadline until(on_.context.get_executor(), on_.shared.settings.load()->timeouts.cancel);
  const auto target = server_->cancel;
  co_await pool::send_cancel(*target, until);
}

boost::asio::awaitable<void> client_session::wait_signal(clock::time_point until) {
  boost::system::error_code ignored;
  signal_.expires_at(until);
  co_await signal_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

}  // namespace tidegate::session
