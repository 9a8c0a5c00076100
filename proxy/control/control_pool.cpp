#include "proxy/control/control_pool.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds first_backoff{100};
constexpr std::chrono::milliseconds longest_backoff{5000};

sql_error stopping() {
  return {std::string(failure::shutdown), "the gateway is stopping"};
}

}  // namespace

control_pool::control_pool(asio::any_io_executor executor, control_target target,
                           const control_plane_limits& limits, const control_plane_hooks& hooks)
    : executor_(std::move(executor)), target_(std::move(target)), limits_(limits), hooks_(hooks) {}

asio::awaitable<std::vector<outcome<query_result>>> control_pool::run(std::vector<command> commands) {
  const auto self = shared_from_this();
  std::vector<outcome<query_result>> outcomes;
  for (bool again = true; again;) {
    again = false;
    outcome<lease> leased = co_await acquire();
    if (!leased) co_return std::vector<outcome<query_result>>(commands.size(), leased.error());

    pg_connection* const connection = leased->connection.get();
    in_use_.insert(connection);
    outcomes = co_await connection->run(commands);
    in_use_.erase(connection);
    queries_ += commands.size();

    for (const auto& each : outcomes) {
      if (each) continue;
      ++errors_;
      if (hooks_.on_error) hooks_.on_error(target_.database, each.error());
    }
    // The server ended it meanwhile (restart, idle timeout): nothing was answered, another one may do.
    again = leased->was_idle && !connection->is_open() && !stopped_ && !outcomes.empty() &&
            !outcomes.front() && outcomes.front().error().sqlstate != failure::deadline;
    release(std::move(leased->connection));
  }
  co_return outcomes;
}

asio::awaitable<outcome<control_pool::lease>> control_pool::acquire() {
  last_used_ = clock::now();
  if (stopped_) co_return stopping();
  if (!idle_.empty()) {
    lease found{std::move(idle_.back().connection), true};
    idle_.pop_back();
    co_return found;
  }
  if (open_ < limits_.connections_per_database && clock::now() >= no_attempt_before_) {
    ++open_;
    co_return co_await open();
  }
  if (open_ == 0 && last_error_) co_return *last_error_;
  if (waiting_.size() >= limits_.queue_per_database)
    co_return sql_error{std::string(failure::overloaded), "too many queries wait for a control connection"};

  const auto place = std::make_shared<waiter>(waiter{asio::steady_timer(executor_), nullptr, false, {}});
  place->timer.expires_after(limits_.wait_at_most);
  waiting_.push_back(place);
  co_await place->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (place->error) co_return *place->error;
  if (place->connection) co_return lease{std::move(place->connection), true};
  if (place->may_open) co_return co_await open();
  std::erase(waiting_, place);
  co_return sql_error{std::string(failure::deadline), "no control connection came free in time"};
}

asio::awaitable<outcome<control_pool::lease>> control_pool::open() {
  auto connection = std::make_unique<pg_connection>(executor_);
  in_use_.insert(connection.get());
  const outcome<void> connected = co_await connection->connect(target_);
  in_use_.erase(connection.get());
  if (!connected) {
    connect_failed(connected.error());
    co_return connected.error();
  }
  last_error_.reset();
  backoff_ = {};
  no_attempt_before_ = {};
  if (hooks_.on_connection) hooks_.on_connection(target_.database, true);
  co_return lease{std::move(connection), false};
}

void control_pool::release(connection_ptr connection) {
  last_used_ = clock::now();
  if (!connection->is_open() || stopped_) {
    if (hooks_.on_connection) hooks_.on_connection(target_.database, false);
    give_place_back();
    return;
  }
  if (waiting_.empty()) {
    idle_.push_back({std::move(connection), last_used_});
    return;
  }
  const auto next = waiting_.front();
  waiting_.pop_front();
  next->connection = std::move(connection);
  next->timer.cancel();
}

// A place among open_ came free: the first in the queue may open a connection in it.
void control_pool::give_place_back() {
  if (waiting_.empty()) {
    --open_;
    return;
  }
  const auto next = waiting_.front();
  waiting_.pop_front();
  next->may_open = true;
  next->timer.cancel();
}

void control_pool::connect_failed(const sql_error& error) {
  --open_;
  ++errors_;
  last_error_ = error;
  backoff_ = std::clamp(backoff_ * 2, first_backoff, longest_backoff);
  no_attempt_before_ = clock::now() + backoff_;
  if (hooks_.on_error) hooks_.on_error(target_.database, error);
  if (open_ > 0) return;  // another connection may still serve those who wait
  for (const auto& each : std::exchange(waiting_, {})) {
    each->error = error;
    each->timer.cancel();
  }
}

void control_pool::close_idle(clock::time_point unused_since) {
  const auto expired = [&](const idle_connection& each) { return each.since <= unused_since; };
  const std::size_t closed = std::erase_if(idle_, expired);
  open_ -= closed;
  for (std::size_t i = 0; i < closed && hooks_.on_connection; ++i)
    hooks_.on_connection(target_.database, false);
}

void control_pool::stop() {
  stopped_ = true;
  close_idle(clock::time_point::max());
  for (pg_connection* const each : in_use_) each->interrupt();
  for (const auto& each : std::exchange(waiting_, {})) {
    each->error = stopping();
    each->timer.cancel();
  }
}

control_pool_state control_pool::state() const {
  return {target_.database, open_,   waiting_.size(),
          queries_,         errors_, last_error_ ? last_error_->message : std::string()};
}

}  // namespace tidegate::control
