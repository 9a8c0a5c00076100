#pragma once
// A poller inside another one, which waits for it.

#include "proxy/net/poller.hpp"

#include <memory>

#include <boost/asio/io_context.hpp>

namespace tidegate::net {

class nested_poller : public poller {
 public:
  // Readable (for epoll and poll) when turn() has something to do.
  virtual int descriptor() const = 0;
  // Handles what is there, or a part of it.
  virtual void turn() = 0;
};

std::unique_ptr<nested_poller> make_nested_epoll_poller(boost::asio::io_context& context);

}  // namespace tidegate::net
