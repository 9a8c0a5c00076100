#pragma once
// One worker's share of accepting: it watches the listening sockets in its thread's poller, together with
// those of the other workers, so that a client costs no hop from one thread to another. Whoever is woken
// accepts; the gateway decides whose the client is. Its thread only.

#include "proxy/net/address.hpp"
#include "proxy/net/listener.hpp"
#include "proxy/net/poller.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate::net {

// Written by the workers, read by any thread.
struct accept_counters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> paused{0};  // times that accepting rested because descriptors or memory ran out
  std::atomic<std::uint64_t> failed{0};  // connections that were gone before they were accepted
};

// A connected, non-blocking, close-on-exec descriptor to own.
struct accepted_connection {
  int descriptor;
  peer_address peer;
  std::size_t listen_index;  // of the `listen` entry it came by
};

class acceptor {
 public:
  using handoff = std::function<void(accepted_connection)>;

  acceptor(boost::asio::io_context& context, poller& on, accept_counters& counters);
  ~acceptor() { stop(); }
  acceptor(const acceptor&) = delete;
  acceptor& operator=(const acceptor&) = delete;

  // Until stop(), at most `batch` connections of a socket are accepted per turn.
  void start(const std::vector<listening_socket_ptr>& from, handoff accepted);
  // Nothing is handed on afterwards. Again: nothing. Safe inside a hand-off.
  void stop();

 private:
  struct source;
  // A login begins in the hand-off, and with direct TLS that is a handshake: the thread's clients get a turn
  // between a few of them.
  static constexpr int batch = 8;
  static constexpr std::chrono::milliseconds rest{100};

  void watch(source& one);
  void unwatch(source& one);
  void accept_from(source& one);
  void rest_from(source& one);

  boost::asio::io_context& context_;
  poller& poller_;
  accept_counters& counters_;
  std::shared_ptr<const handoff> accepted_;  // null: it does not accept
  std::vector<std::shared_ptr<source>> sources_;
};

}  // namespace tidegate::net
