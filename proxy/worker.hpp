#pragma once
// One core's share of the gateway: a thread with its io_context, poller and sessions. A client is handed over
// as a bare descriptor and stays here from its first byte to its last, with its server connection beside it.

#include "policies/sql/parse_stack.hpp"
#include "proxy/admin/gateway_access.hpp"
#include "proxy/admission.hpp"
#include "proxy/background_runner.hpp"
#include "proxy/known_logins.hpp"
#include "proxy/net/acceptor.hpp"
#include "proxy/pool/worker_pools.hpp"
#include "proxy/runtime_settings.hpp"
#include "proxy/session/client_handshake.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/environment.hpp"

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate {

class worker final : private admin::worker_access {
 public:
  worker(session::shared_services& shared, runtime_slot& runtime, admission& places,
         boost::asio::thread_pool& slow_work, metrics::registry& registry, admin::gateway_access& gateway,
         const std::vector<pool::worker_pools*>& all_pools, net::relay relay_by,
         net::accept_counters& accepting);
  ~worker();

  void start();
  // Ends every session and the thread; returns when it is gone.
  void stop();

  // Begins to accept clients; `handed_on` is called on this worker's thread and decides whose each is. Any
  // thread.
  void accept(std::vector<net::listening_socket_ptr> from, net::acceptor::handoff handed_on);
  // A client's connection, to own. Without a place it is told so and closed. Any thread; on this worker's own
  // its login begins inside the call.
  void take(net::accepted_connection connection, admission::place arrival);
  // Clients that this worker has or is logging in: the least loaded gets the next. Any thread.
  unsigned load() const { return load_.load(std::memory_order_relaxed); }
  // From now on new clients are refused and sessions end once they are between transactions. Any thread.
  void drain();
  // The gate has opened. Any thread.
  void wake_held();
  // For what the console asks: where access() may be used. Any thread.
  boost::asio::io_context& context() { return context_; }
  admin::worker_access& access() { return *this; }
  // For the list that every worker is given: complete before any of them starts.
  pool::worker_pools& pools() { return *pools_; }

 private:
  boost::asio::awaitable<void> serve(net::accepted_connection connection, admission::place arrival);
  void count(const session::handshake_failure& failure);
  boost::asio::awaitable<void> connect(session::accepted_client& client,
                                       std::shared_ptr<const runtime_settings> runtime, net::deadline& until,
                                       std::chrono::steady_clock::time_point accepted_at);
  // Transaction mode: the client gets its place in a pool.
  boost::asio::awaitable<void> join_pool(session::accepted_client& client,
                                         const config::database_settings& database,
                                         std::shared_ptr<const runtime_settings> runtime,
                                         admission::place place,
                                         std::chrono::steady_clock::time_point accepted_at);
  known_login find_pool(session::accepted_client& client, const config::database_settings& database,
                        const std::shared_ptr<const runtime_settings>& runtime, pool::server_pool_ptr& pool);
  boost::asio::awaitable<bool> open_first(pool::worker_pools::part& part, net::message_stream& client,
                                          std::chrono::milliseconds at_most);
  void begin(session::session_start start, session::accepted_client& client,
             std::chrono::steady_clock::time_point accepted_at);
  std::shared_ptr<session::client_session> adopt(session::session_start start);
  boost::asio::awaitable<void> tick();
  // Waits while the database is paused. False: it took too long, or the gateway drains.
  boost::asio::awaitable<bool> wait_for_resume(const std::string& database,
                                               std::chrono::milliseconds at_most);
  std::vector<std::shared_ptr<session::client_session>> sessions_of(std::string_view database) const;

  void report(admin::worker_snapshot& to) override;
  unsigned busy_sessions(std::string_view database) override;
  unsigned end_sessions(std::string_view database) override;
  bool end_session(std::uint64_t id) override;
  unsigned end_sessions_at_rest(std::string_view database) override;

  // A client between the proof of who it is and its session, for SHOW POOLS.
  struct login {
    std::string user, database;
    bool connecting = false;
    std::chrono::steady_clock::time_point since;
  };

  session::shared_services& shared_;
  runtime_slot& runtime_;
  admission& places_;
  admin::gateway_access& gateway_;
  metrics::thread_metrics& counters_;
  std::list<login> logins_;  // before the context, whose coroutines take themselves out
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<net::poller> poller_;
  net::acceptor acceptor_;
  std::shared_ptr<pool::worker_pools> pools_;  // logins that the context still holds at its end outlive it
  known_logins known_logins_;
  session::environment environment_;
  background_runner background_;
  std::unordered_map<session::client_session*, std::shared_ptr<session::client_session>> sessions_;
  std::vector<std::weak_ptr<session::client_session>> held_;
  boost::asio::steady_timer ticker_;
  std::atomic<unsigned> load_{0};
  bool draining_ = false;
  sql::big_stack_thread thread_;
};

}  // namespace tidegate
