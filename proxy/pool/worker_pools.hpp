#pragma once
// One worker's share of the pools: its idle servers, the opening of new ones, and the hand-over of a freed
// server to whoever has waited longest, on this worker or another. Its thread only, but for serve_soon().

#include "proxy/metrics/registry.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/pool/server_pool.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace tidegate::pool {

// The label of a failed login.
metrics::connect_failure counted(login_failure::reason why);

class worker_pools final : private net::channel_handler {
 public:
  struct environment {
    boost::asio::io_context& context;
    net::poller& poller;
    boost::asio::thread_pool& slow_work;
    metrics::thread_metrics& counters;
    const std::vector<worker_pools*>& all;  // of the gateway; outlives them
  };
  explicit worker_pools(environment on) : on_(on) {}
  ~worker_pools();
  worker_pools(const worker_pools&) = delete;

  // This worker's part of one pool. Stays where it is while a client holds it.
  struct part {
    explicit part(server_pool_ptr of) : pool(std::move(of)) {}
    server_pool_ptr pool;
    std::vector<pooled_server_ptr> idle;      // the latest used at the end
    std::vector<pooled_server_ptr> checking;  // asked whether they are still there: nobody gets them now
    unsigned clients = 0;
    std::chrono::steady_clock::time_point used;
    std::chrono::steady_clock::time_point replaced;  // when a server went for its age in schema epochs
    metrics::database_metrics* metrics = nullptr;
  };
  part& enter(const server_pool_ptr& pool);  // a client of the pool came
  void leave(part& of);                      // … and went

  // An idle server for a client of that application, unless somebody waits or it has as many as it may. Null:
  // wait().
  pooled_server_ptr take(part& of, const application_share_ptr& share);
  // The taker gets a server, or a failure, later.
  waiter_ptr wait(part& of, application_share_ptr share, std::weak_ptr<server_taker> taker);
  // It waits no more. False: a server is on its way.
  bool forget(part& of, const waiter_ptr& one);
  // A server is no longer needed: to the oldest waiter, or idle.
  void give_back(part& of, pooled_server_ptr server);
  // A server that must not be used again: closed, and its place given to who waits.
  void discard(part& of, pooled_server_ptr server);
  // Opens a server, which goes to who waits or becomes idle; its place was taken with enter(), and it was
  // counted in connecting. None: it is open.
  boost::asio::awaitable<std::optional<login_failure>> open_one(part& of);

  // Called every half second.
  void tick(std::chrono::steady_clock::time_point now);
  // Idle servers of a database (empty: of all) are closed, and lent ones when they come back.
  void retire(std::string_view database);
  void close_idle();  // the gateway ends
  // Somebody waits, and this worker may have an idle server. Any thread.
  void serve_soon(server_pool_ptr pool);

  const std::unordered_map<server_pool*, std::unique_ptr<part>>& parts() const { return parts_; }
  std::uint64_t retired() const { return retired_; }  // how often retire() was called: older servers go

 private:
  void on_received(net::channel& from, std::span<const std::byte> bytes) override;
  void on_drained(net::channel&) override {}
  void on_ended(net::channel& from, boost::system::error_code why) override;
  void on_closing(net::channel& from) override;

  part& part_of(const server_pool_ptr& pool);
  static void take_from_share(part& of, pooled_server& server);
  void put_idle(part& of, pooled_server_ptr server);
  static bool replace_now(part& of, const pooled_server& server, std::chrono::steady_clock::time_point now);
  void serve(part& of);
  void hand_over(part& of, pooled_server_ptr server, const waiter_ptr& to);
  void arrive(const server_pool_ptr& pool, pooled_server_ptr server, const std::weak_ptr<server_taker>& to);
  void open_more(part& of, bool with_reserve = false);
  boost::asio::awaitable<void> open(server_pool_ptr pool);
  void adopt(part& of, logged_in_server&& login, const server_endpoint_ptr& endpoint);
  void failed(const server_pool_ptr& pool, const login_failure& why);
  void close(part& of, pooled_server_ptr server);
  void lose(net::channel& gone);
  // Takes an idle server, or one that is checked, out of its part. Null: it is none.
  std::pair<part*, pooled_server_ptr> take_out(net::channel& of);
  void start_checks(part& of, const config::pool_settings& bounds, std::chrono::steady_clock::time_point now);
  bool read_idle(pooled_server& server, std::span<const std::byte> bytes, bool is_checked);
  void checked(net::channel& of_server);

  environment on_;
  std::unordered_map<server_pool*, std::unique_ptr<part>> parts_;
  std::uint64_t retired_ = 0;
  bool closed_ = false;
};

}  // namespace tidegate::pool
