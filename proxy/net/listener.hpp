#pragma once
// Accepts clients on every configured address and hands each descriptor on; the gateway picks the core. Runs
// on one io_context. A second gateway on the same port fails to open: there is no SO_REUSEPORT, and a unix
// socket is locked.

#include "config/settings.hpp"
#include "proxy/net/address.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/result.hpp>
#include <sys/types.h>

namespace tidegate::net {

// Written by the listener's thread, read by any.
struct listener_counters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> paused{0};  // times that accepting rested because descriptors or memory ran out
  std::atomic<std::uint64_t> failed{0};  // connections that were gone before they were accepted
};

class listener {
 public:
  // Gets a connected, non-blocking, close-on-exec descriptor to own, and the index of the `listen` entry it
  // came by. Runs on the listener's thread.
  using handoff = std::function<void(int descriptor, std::size_t listen_index)>;
  struct failure {
    std::string why;  // "cannot listen on 127.0.0.1:6432: address already in use"
  };

  listener(boost::asio::io_context& context, handoff accepted, listener_counters& counters);
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  // Binds and listens on every entry, or on none when one fails. A host name stands for all its addresses.
  boost::system::result<void, failure> open(const std::vector<config::listen_settings>& entries);
  // Begins to accept. Until stop(), at most `batch` connections are accepted per wake-up of a socket.
  void start();
  // Closes the sockets; nothing is handed on afterwards. Unix sockets are unlinked. On the listener's thread.
  void stop();

  struct bound {
    std::size_t listen_index;
    std::string address;  // "127.0.0.1:6432" or the path
    std::uint16_t port;   // the real one when 0 was asked for; 0 for a unix socket
  };
  std::vector<bound> addresses() const;

 private:
  struct acceptor;
  static constexpr int batch = 64;
  static constexpr std::chrono::milliseconds rest{100};

  boost::asio::awaitable<void> accept_on(std::shared_ptr<acceptor> from);

  boost::asio::io_context& context_;
  handoff accepted_;
  listener_counters& counters_;
  std::vector<std::shared_ptr<acceptor>> acceptors_;
};

}  // namespace tidegate::net
