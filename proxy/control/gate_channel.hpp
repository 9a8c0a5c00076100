#pragma once
// The gates of all gateways in front of one database, closed together: each gateway that serves clients of
// the database listens on it (LISTEN tidegate_gate, application_name 'tidegate gate'), and whoever closes its
// gate has the others close theirs first.
//
//   A: who else listens? -> NOTIFY close --> B: from our role? -> gate closed -> NOTIFY closed --> A: goes on
//   A: done              -> NOTIFY open  --> B: gate open again
//
// A waits for the answers for 25 ms at most and then goes on: the gate keeps statements from piling up behind
// a lock, and does not guard what is right. B opens by its own deadline when A is not heard of again.
//
// Anybody who may connect can NOTIFY. The gate is closed for those only whom the server says to be sessions
// of the listener's own role, so all gateways in front of a database need the same control role; with the
// other two notices somebody else can at worst open it early.
//
// Lives on the control thread only; its coroutines keep it alive.

#include "proxy/control/pg_connection.hpp"
#include "proxy/core/gate.hpp"
#include "proxy/core/gate_notice.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate::control {

// Called on the control thread.
struct gate_channel_hooks {
  // Closes the gateway's own gate; as core::gate::close().
  std::function<core::gate::closure(const std::string& database, std::vector<std::string> names,
                                    core::gate::clock::time_point until)>
      close;
  // The listener has connected, or failed to: an empty error tells that it listens.
  std::function<void(const std::string& database, const sql_error& error)> on_listener;
  // So many gateways did not answer in time.
  std::function<void(const std::string& database, std::size_t missing)> on_unanswered;
};

class gate_channel final : public std::enable_shared_from_this<gate_channel> {
 public:
  using clock = core::gate::clock;

  // `gateway`: unlike any other's.
  gate_channel(boost::asio::any_io_executor executor, control_target target, std::string gateway,
               const gate_channel_hooks& hooks);

  void start();
  void stop();
  // The names under which clients of this gateway know the database.
  void serves(std::vector<std::string> databases) { databases_ = std::move(databases); }

  // Has the others hold what mentions `names`; `by` asks the same database. The id for open(), empty when
  // there is nobody else.
  boost::asio::awaitable<std::string> close(querier& by, std::vector<std::string> names,
                                            std::chrono::milliseconds hold);
  boost::asio::awaitable<void> open(querier& by, std::string id);

 private:
  struct held {
    std::vector<core::gate::closure> closures;
    clock::time_point until;
  };
  struct request {
    core::gate_close what;
    std::int32_t sender = 0;
  };
  struct expected {
    boost::asio::steady_timer timer;
    std::size_t answers = 0;
  };

  boost::asio::awaitable<void> listen();
  boost::asio::awaitable<void> follow();
  std::vector<request> take(const std::vector<pg_connection::notification>& notices);
  boost::asio::awaitable<void> hold(std::vector<request> requests);
  void drop_expired();
  bool is_ours(const std::string& id) const;

  boost::asio::any_io_executor executor_;
  const control_target target_;
  const std::string gateway_;
  const gate_channel_hooks& hooks_;
  std::vector<std::string> databases_;
  pg_connection listener_;
  boost::asio::steady_timer pause_;
  std::multimap<std::string, held> held_;        // for others, by id
  std::map<std::string, expected*> unanswered_;  // of ours, by id
  std::uint64_t given_ = 0;
  bool stopped_ = false;
};

}  // namespace tidegate::control
