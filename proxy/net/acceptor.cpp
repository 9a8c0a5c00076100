#include "proxy/net/acceptor.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/socket.h>

namespace tidegate::net {
namespace {

// Accepting again at once would fail the same way and spin.
bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

struct acceptor::source final : readiness_handler, std::enable_shared_from_this<source> {
  source(acceptor& whose, listening_socket_ptr from)
      : of(whose), socket(std::move(from)), timer(whose.context_) {}

  void on_readable() override { of.accept_from(*this); }

  acceptor& of;
  listening_socket_ptr socket;
  boost::asio::steady_timer timer;
  bool is_watched = false;
};

acceptor::acceptor(boost::asio::io_context& context, poller& on, accept_counters& counters)
    : context_(context), poller_(on), counters_(counters) {}

void acceptor::start(const std::vector<listening_socket_ptr>& from, handoff accepted) {
  accepted_ = std::make_shared<const handoff>(std::move(accepted));
  for (const listening_socket_ptr& socket : from)
    watch(*sources_.emplace_back(std::make_shared<source>(*this, socket)));
}

void acceptor::stop() {
  accepted_ = nullptr;
  for (const auto& one : std::exchange(sources_, {})) {
    unwatch(*one);
    one->timer.cancel();
  }
}

void acceptor::watch(source& one) {
  try {
    poller_.watch(one.socket->descriptor(), one);
    one.is_watched = true;
  } catch (const std::system_error&) {  // the kernel has no room for it
    rest_from(one);
  }
}

void acceptor::unwatch(source& one) {
  if (std::exchange(one.is_watched, false)) poller_.unwatch(one.socket->descriptor(), one);
}

void acceptor::accept_from(source& from) {
  const auto accepted = accepted_;  // stop() may come inside of a hand-off
  const listening_socket_ptr socket = from.socket;
  for (int taken = 0; taken < batch && accepted_; ++taken) {
    sockaddr_storage address;
    address.ss_family = AF_UNSPEC;
    socklen_t size = sizeof address;
    const int client = ::accept4(socket->descriptor(), reinterpret_cast<sockaddr*>(&address), &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      counters_.accepted.fetch_add(1, std::memory_order_relaxed);
      (*accepted)({client, peer_of(client, address), socket->listen_index});
      continue;
    }
    if (errno == EAGAIN) return;
    if (out_of_resources(errno)) return rest_from(from);
    if (errno == EINVAL) return unwatch(from);  // the listener has stopped
    if (errno != EINTR) counters_.failed.fetch_add(1, std::memory_order_relaxed);
  }
}

void acceptor::rest_from(source& from) {
  counters_.paused.fetch_add(1, std::memory_order_relaxed);
  unwatch(from);
  from.timer.expires_after(rest);
  from.timer.async_wait([weak = from.weak_from_this()](boost::system::error_code error) {
    const auto one = weak.lock();  // while there is one, there is its acceptor
    if (one && !error) one->of.watch(*one);
  });
}

}  // namespace tidegate::net
