#pragma once
// A few threads for work that would hold up a core's other clients: PBKDF2 of a SCRAM login takes
// milliseconds.

#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::net {

// Runs `work` (a function without arguments whose result can be moved, and which does not throw) on the pool;
// the caller's coroutine resumes on its own executor with the result. The pool is joined before that executor
// goes. A temporary closure may capture only what can be copied bit by bit: gcc 12 does so within a co_await
// expression, and a string that is captured by value would be freed twice. Name the closure then.
template <typename Work>
requires std::is_lvalue_reference_v<Work> || std::is_trivially_copyable_v<Work>
    boost::asio::awaitable<std::invoke_result_t<Work&>> run_slowly(boost::asio::thread_pool& pool,
                                                                   Work&& work) {
  std::optional<std::invoke_result_t<Work&>> done;
  auto on_pool = [&done, &work]() -> boost::asio::awaitable<void> {
    done.emplace(work());
    co_return;
  };
  co_await boost::asio::co_spawn(pool, on_pool(), boost::asio::use_awaitable);
  co_return std::move(*done);
}

}  // namespace tidegate::net
