#pragma once
// The gateway's own way to its databases: one thread with one io_context for all control connections, a small
// pool per database (one connection normally, two at most), a bounded queue before it. Sessions call it from
// their own threads; they are resumed on their own executor, whose context must outlive stop(). Nothing here
// runs on the data path.

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"
#include "proxy/control/catalog_reader.hpp"
#include "proxy/control/control_settings.hpp"
#include "proxy/control/gate_channel.hpp"
#include "proxy/control/name_resolution.hpp"
#include "proxy/control/querier.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct control_plane_limits {
  std::size_t connections_per_database = 2;
  std::size_t queue_per_database = 64;  // callers waiting for a connection; more are refused with 53300
  std::size_t databases = 64;           // pools alive at once ("*"); the longest idle gives way
  std::chrono::milliseconds idle_after{60'000};   // a connection unused for so long is closed
  std::chrono::milliseconds wait_at_most{5'000};  // in the queue, connecting included
};

// What happened, for metrics and log. Called on the control thread; keep it short. Any may be empty.
struct control_plane_hooks {
  std::function<void(const std::string& database, bool connected)> on_connection;  // opened / closed
  std::function<void(const std::string& database, const sql_error&)> on_error;  // could not connect or query
  std::function<void(const std::string& database, std::chrono::nanoseconds)> on_facts_read;
  gate_channel_hooks gate;
};

// A database whose gate is shared with the other gateways in front of it.
struct gate_sharing {
  control_target target;
  std::vector<std::string> databases;  // the names under which clients of this gateway know it
};

class control_plane;

// The gates of other gateways, closed as long as this lives, and at most for as long as was asked for. Must
// not outlive the plane. Any thread.
class held_elsewhere {
 public:
  held_elsewhere() = default;
  held_elsewhere(control_plane& plane, control_target target, std::string id);
  held_elsewhere(held_elsewhere&& other) noexcept;
  held_elsewhere& operator=(held_elsewhere&& other) noexcept;
  ~held_elsewhere() { open(); }
  void open();

 private:
  control_plane* plane_ = nullptr;
  control_target target_;
  std::string id_;
};

struct control_pool_state {
  std::string database;
  std::size_t connections = 0, waiting = 0;
  std::uint64_t queries = 0, errors = 0;
  std::string last_error;  // empty: the last attempt went well
};

class control_plane {
 public:
  explicit control_plane(control_plane_limits limits = {}, control_plane_hooks hooks = {});
  ~control_plane();  // stop()
  control_plane(const control_plane&) = delete;
  control_plane& operator=(const control_plane&) = delete;

  // Runs commands on a control connection of the target; thread-safe. As querier::run; when no connection can
  // be had, each outcome carries the reason. After a failed connect, further callers fail at once with the
  // same reason until the backoff (100 ms doubling to 5 s) allows the next attempt.
  boost::asio::awaitable<std::vector<outcome<query_result>>> run(control_target target,
                                                                 std::vector<command> commands);
  boost::asio::awaitable<outcome<query_result>> query(control_target target, std::string sql,
                                                      std::vector<text_cell> parameters = {});

  // The facts for one decision (catalog_reader.hpp), read fresh; thread-safe. Always returns a snapshot.
  boost::asio::awaitable<facts> read_facts(control_target target, policies::fact_request request,
                                           resolved_names names);

  // The same as run(), as a querier for find_blockers() and the like: awaited on the caller's own executor.
  // Must not outlive the plane.
  std::unique_ptr<querier> querier_for(control_target target);

  // The databases whose gates are shared from now on; those that were before and are not among them are let
  // go. Thread-safe.
  void share_gates(std::vector<gate_sharing> databases);
  // Has the gates of the other gateways closed (gate_channel.hpp): when it is done they hold, or have not
  // answered in time. At once for a database whose gate is not shared. Thread-safe.
  boost::asio::awaitable<held_elsewhere> hold_elsewhere(control_target target, std::vector<std::string> names,
                                                        std::chrono::milliseconds hold);

  // A copy of what the pools are doing, for SHOW and /readyz; thread-safe, waits for the control thread.
  boost::asio::awaitable<std::vector<control_pool_state>> state();

  // Fails everyone who waits with 57P01, closes all connections, ends the thread. Idempotent. Not to be
  // called on the control thread.
  void stop();

 private:
  friend class held_elsewhere;
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace tidegate::control
