#pragma once
// The few control connections to one database, and the bounded queue before them. Lives on the control thread
// only; its coroutines keep it alive.

#include "proxy/control/control_plane.hpp"
#include "proxy/control/pg_connection.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate::control {

class control_pool final : public querier, public std::enable_shared_from_this<control_pool> {
 public:
  using clock = std::chrono::steady_clock;

  control_pool(boost::asio::any_io_executor executor, control_target target,
               const control_plane_limits& limits, const control_plane_hooks& hooks);

  // On whichever connection is free. Commands only read, so those that met a connection which had died while
  // it was idle are sent once more on another.
  boost::asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) override;

  void close_idle(clock::time_point unused_since);
  void stop();  // everyone fails with 57P01; nothing can be had any more

  bool is_unused() const { return open_ == 0 && waiting_.empty(); }
  bool is_busy() const { return open_ > idle_.size() || !waiting_.empty(); }
  clock::time_point last_used() const { return last_used_; }
  control_pool_state state() const;

 private:
  using connection_ptr = std::unique_ptr<pg_connection>;

  struct idle_connection {
    connection_ptr connection;
    clock::time_point since;
  };
  // Someone in the queue: gets a connection, or the right to open one, or an error.
  struct waiter {
    boost::asio::steady_timer timer;
    connection_ptr connection;
    bool may_open = false;
    std::optional<sql_error> error;
  };
  struct lease {
    connection_ptr connection;
    bool was_idle = false;
  };

  boost::asio::awaitable<outcome<lease>> acquire();
  boost::asio::awaitable<outcome<lease>> open();  // one of open_ is reserved for it already
  void release(connection_ptr connection);
  void give_place_back();
  void connect_failed(const sql_error& error);

  boost::asio::any_io_executor executor_;
  control_target target_;
  const control_plane_limits& limits_;
  const control_plane_hooks& hooks_;

  std::vector<idle_connection> idle_;  // the most recently used last
  std::deque<std::shared_ptr<waiter>> waiting_;
  std::unordered_set<pg_connection*> in_use_;
  std::size_t open_ = 0;  // idle, in use and being opened
  std::optional<sql_error> last_error_;
  std::chrono::milliseconds backoff_{0};
  clock::time_point no_attempt_before_{};
  clock::time_point last_used_ = clock::now();
  std::uint64_t queries_ = 0, errors_ = 0;
  bool stopped_ = false;
};

}  // namespace tidegate::control
