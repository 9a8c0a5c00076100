#pragma once
// What the console asks of the gateway around it. The data path is never locked for it: a question is posted
// to each worker's thread, which answers between two events of its own.

#include "config/settings.hpp"
#include "proxy/admin/snapshot.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace tidegate::admin {

// One worker, on its own thread.
class worker_access {
 public:
  virtual void report(worker_snapshot& to) = 0;
  // Sessions of a database (empty: of all) that are inside a transaction or wait for an answer.
  virtual unsigned busy_sessions(std::string_view database) = 0;
  // Ends sessions at once. How many it were.
  virtual unsigned end_sessions(std::string_view database) = 0;
  virtual bool end_session(std::uint64_t id) = 0;
  // Ends sessions as soon as each is between transactions. How many were told.
  virtual unsigned end_sessions_at_rest(std::string_view database) = 0;

 protected:
  ~worker_access() = default;
};

enum class shutdown_kind : std::uint8_t {
  at_once,
  drain,             // as SIGTERM
  wait_for_clients,  // take nobody new, and end with the last client
};

class gateway_access {
 public:
  using question = std::function<void(worker_access&)>;
  // Takes settings that differ in what the file does not have; says why not.
  using change = std::function<std::string(config::settings&)>;

  // Runs `ask` on every worker's thread, on several at the same time. False: not every worker has answered
  // within five seconds, and `ask` may still be called later: what it refers to must be its own.
  virtual boost::asio::awaitable<bool> on_every_worker(question ask) = 0;
  // As SIGHUP. Empty, or why the old settings stay.
  virtual boost::asio::awaitable<std::string> reload() = 0;
  // Changes a copy of the settings in force and puts it in force. Empty, or why not.
  virtual boost::asio::awaitable<std::string> alter(change how) = 0;
  virtual void shut_down(shutdown_kind how) = 0;
  virtual bool is_draining() const = 0;

 protected:
  ~gateway_access() = default;
};

}  // namespace tidegate::admin
