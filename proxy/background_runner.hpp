#pragma once
// Carries out what clients do not wait for (session/background_statement.hpp). Each statement gets a session
// like a client's, on a server connection of its own, and this is its client: over a pair of sockets, by the
// protocol, so that it is judged, guarded, carried out in steps and recorded as any other. One per worker;
// its thread only.
//
//   queued -> logged in -> the statement -> done
//      ^                      | no lock to be had, server gone: again, later
//      +----------------------+ its own error: failed
//
// A gateway that drains stops them at their next safe point. What one has done is in tidegate.plan: the same
// statement, sent again, goes on.

#include "proxy/admission.hpp"
#include "proxy/net/message_stream.hpp"
#include "proxy/runtime_settings.hpp"
#include "proxy/session/background_statement.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate {

class background_runner {
 public:
  static constexpr std::size_t most_at_once = 4;
  static constexpr std::size_t most_waiting = 100;

  struct environment {
    session::environment& on;
    runtime_slot& runtime;
    admission& places;
    std::function<std::shared_ptr<session::client_session>(session::session_start)> begin;
  };
  explicit background_runner(environment in) : in_(std::move(in)) {}

  // False: too many wait.
  bool take(session::background_statement&& what);
  // Nothing new is begun; what runs is asked to stop.
  void drain();

 private:
  // How an attempt ended.
  struct ending {
    control::background_news news;
    bool again = false;  // it may go better later
  };

  void begin_next();
  boost::asio::awaitable<void> carry_out(session::background_statement what);
  boost::asio::awaitable<ending> attempt(const session::background_statement& what);
  boost::asio::awaitable<ending> converse(const session::background_statement& what,
                                          net::message_stream& client, std::int32_t backend_pid);
  boost::asio::awaitable<bool> rest(unsigned attempts);

  environment in_;
  std::deque<session::background_statement> waiting_;
  std::vector<std::weak_ptr<session::client_session>> running_;
  std::size_t begun_ = 0;
  bool draining_ = false;
};

}  // namespace tidegate
