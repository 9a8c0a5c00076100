#pragma once
// The HTTP side: GET and HEAD of /metrics, /healthz and /readyz. Runs on the io_context it is given, which
// has one thread and no client on it, so that a slow scraper stalls no session. Answers are made by callbacks
// on that thread.
//
// Bounds: connections at a time, bytes of a request (no body), and time for each request and each answer; who
// exceeds them is cut.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace tidegate::metrics {

struct readiness {
  bool is_ready = false;
  std::string reason;  // one line per thing that is missing; shown in the body, so without secrets
};

struct http_handlers {
  std::function<std::string()> page;  // of /metrics: text format 0.0.4
  std::function<metrics::readiness()> readiness;
};

struct http_limits {
  std::size_t connections = 64;
  std::size_t header_bytes = 8 * 1024;
  std::chrono::milliseconds request{
      10'000};  // from the first wait to the whole request, idle keep-alive included
  std::chrono::milliseconds answer{10'000};
  std::chrono::milliseconds accept_pause{100};  // after a failed accept (no descriptors left)
};

class http_server {
 public:
  // Listens on `endpoint`; throws boost::system::system_error when it cannot. `context` outlives the server.
  http_server(boost::asio::io_context& context, const boost::asio::ip::tcp::endpoint& endpoint,
              http_handlers handlers, http_limits limits = {});
  // Closes the listener; answers under way are finished by the context or dropped with it.
  ~http_server();

  // Where it listens, with the port that the kernel picked for 0.
  boost::asio::ip::tcp::endpoint local_endpoint() const;

  // Stops listening and closes the connections. Any thread.
  void stop();

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace tidegate::metrics
