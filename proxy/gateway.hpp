#pragma once
// The whole of a running gateway: workers, listeners, control plane, metrics, audit, signals. `serve` makes
// one and runs it; `demo` makes one inside its own process.

#include "config/settings.hpp"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidegate {

struct gateway_failure : std::runtime_error {
  using runtime_error::runtime_error;
};

class gateway {
 public:
  // Reads the configuration again; throws with words for the log when it is bad.
  using reloader = std::function<std::shared_ptr<const config::settings>()>;

  explicit gateway(std::shared_ptr<const config::settings> settings, reloader reload = {});
  ~gateway();
  gateway(const gateway&) = delete;

  // Listens and starts every thread; throws gateway_failure when an address or a file is not to be had.
  void start();
  // Handles SIGHUP (reload), SIGTERM and SIGINT (drain; a second one ends at once) until the gateway has
  // ended.
  void run();
  // Ends it from another thread, at once.
  void stop();

  struct address {
    std::string text;  // "127.0.0.1:6432" or a unix socket's path
    unsigned short port = 0;
  };
  std::vector<address> listening() const;  // after start()
  unsigned short http_port() const;        // 0: off

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace tidegate
