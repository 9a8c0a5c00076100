#pragma once
// For commands, which have nothing else to do meanwhile: a coroutine run to its end on the calling thread.
// What it throws is thrown. Never used by a running gateway.

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace tidegate::control {

// On a context that has no other work.
template <class T>
T wait_for(boost::asio::io_context& context, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  std::exception_ptr failed;
  boost::asio::co_spawn(context, std::move(work), [&](std::exception_ptr thrown, T value) {
    failed = thrown;
    if (!thrown) result.emplace(std::move(value));
  });
  context.restart();
  context.run();
  if (failed) std::rethrow_exception(failed);
  return std::move(*result);
}

template <class T>
T wait_for(boost::asio::awaitable<T> work) {
  boost::asio::io_context context(1);
  return wait_for(context, std::move(work));
}

}  // namespace tidegate::control
