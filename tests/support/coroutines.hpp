#pragma once
// Runs the two sides of a dialogue on one io_context until both are over.

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace tidegate::testing {

namespace asio = boost::asio;

// Far beyond what any dialogue of a test takes: reaching it is a failure.
inline constexpr std::chrono::seconds patience{20};

template <typename T>
class running {
 public:
  running(asio::io_context& context, asio::awaitable<T> work) {
    asio::co_spawn(context, keep(std::move(work)), [this](std::exception_ptr error) {
      error_ = error;
      is_over_ = true;
    });
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;

  bool is_over() const { return is_over_; }
  T take() {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) return std::move(*result_);
  }

 private:
  asio::awaitable<void> keep(asio::awaitable<T> work) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
    } else {
      result_.emplace(co_await std::move(work));
    }
  }

  std::exception_ptr error_;
  bool is_over_ = false;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> result_;
};

// Runs handlers until `is_over`; throws when nothing happens any more.
template <typename Condition>
void run_until(asio::io_context& context, Condition is_over) {
  context.restart();
  while (!is_over()) {
    if (context.run_one_for(patience) == 0) throw std::runtime_error("the dialogue is stuck");
  }
}

template <typename T>
T run(asio::io_context& context, asio::awaitable<T> work) {
  running<T> one(context, std::move(work));
  run_until(context, [&] { return one.is_over(); });
  return one.take();
}

// Both sides, until both are over; gives what the first returned.
template <typename T>
T run(asio::io_context& context, asio::awaitable<T> work, asio::awaitable<void> peer) {
  running<void> other(context, std::move(peer));
  running<T> one(context, std::move(work));
  run_until(context, [&] { return one.is_over() && other.is_over(); });
  other.take();
  return one.take();
}

// Two connected TCP sockets on the loopback.
std::pair<int, int> tcp_pair();

// A TCP socket that listens on a free port of the loopback.
struct listening {
  int descriptor = -1;
  std::uint16_t port = 0;

  listening();
  ~listening();
  listening(const listening&) = delete;
  listening& operator=(const listening&) = delete;
  // The next connection, which must be on its way.
  int accept() const;
};

}  // namespace tidegate::testing
