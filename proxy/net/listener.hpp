#pragma once
// The sockets that clients come by, one or more for each `listen` entry. Every worker accepts from all of
// them (acceptor.hpp). Opened and stopped on one thread. A second gateway on the same port fails to open:
// there is no SO_REUSEPORT, and a unix socket is locked.

#include "config/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/system/result.hpp>

namespace tidegate::net {

// One that listens; closed by the last who has it. What it accepts has the socket options of a stream
// (stream.hpp) from the start.
class listening_socket {
 public:
  listening_socket(int owned, std::size_t index) : listen_index(index), descriptor_(owned) {}
  ~listening_socket();
  listening_socket(const listening_socket&) = delete;
  listening_socket& operator=(const listening_socket&) = delete;

  const std::size_t listen_index;  // of its `listen` entry
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};
using listening_socket_ptr = std::shared_ptr<const listening_socket>;

class listener {
 public:
  struct failure {
    std::string why;  // "cannot listen on 127.0.0.1:6432: address already in use"
  };

  listener() = default;
  ~listener() { stop(); }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  // Binds and listens on every entry, or on none when one fails. A host name stands for all its addresses,
  // which are looked up in `context`.
  boost::system::result<void, failure> open(boost::asio::io_context& context,
                                            const std::vector<config::listen_settings>& entries);
  std::vector<listening_socket_ptr> sockets() const;
  // From now on connections are refused, also while somebody still has the sockets. Unix sockets are
  // unlinked.
  void stop();

  struct bound {
    std::size_t listen_index;
    std::string address;  // "127.0.0.1:6432" or the path
    std::uint16_t port;   // the real one when 0 was asked for; 0 for a unix socket
  };
  std::vector<bound> addresses() const;

 private:
  struct place {
    listening_socket_ptr socket;
    std::string path;  // of a unix socket
    int lock = -1;
  };
  std::vector<place> places_;
};

}  // namespace tidegate::net
