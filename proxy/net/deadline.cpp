#include "proxy/net/deadline.hpp"

#include <algorithm>
#include <cassert>

#include <boost/asio/steady_timer.hpp>

namespace tidegate::net {

struct deadline::state {
  explicit state(boost::asio::any_io_executor executor) : timer(std::move(executor)) {}

  void pass() {
    passed = true;
    if (cancel) cancel();
  }

  boost::asio::steady_timer timer;
  std::function<void()> cancel;
  bool passed = false;
};

deadline::deadline(boost::asio::any_io_executor executor, std::chrono::steady_clock::duration from_now)
    : state_(std::make_shared<state>(std::move(executor))) {
  state_->timer.expires_after(from_now);
  state_->timer.async_wait([weak = std::weak_ptr(state_)](boost::system::error_code ec) {
    const auto self = weak.lock();
    if (!ec && self) self->pass();
  });
}

deadline::~deadline() {
  state_->timer.cancel();
}

bool deadline::expired() const {
  return state_->passed;
}

std::chrono::steady_clock::duration deadline::remaining() const {
  if (state_->passed) return {};
  return std::max(state_->timer.expiry() - std::chrono::steady_clock::now(),
                  std::chrono::steady_clock::duration{});
}

void deadline::expire() {
  state_->timer.cancel();
  state_->pass();
}

deadline::interruption::interruption(deadline& of, std::function<void()> cancel) : of_(of) {
  assert(!of_.state_->cancel);
  of_.state_->cancel = std::move(cancel);
}

deadline::interruption::~interruption() {
  of_.state_->cancel = nullptr;
}

}  // namespace tidegate::net
