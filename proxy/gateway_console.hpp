#pragma once
// How the admin console reaches the gateway it runs in: questions to every worker, and what the gateway's
// main thread does (reload, change of settings, shutdown). Any thread; nobody waits under a lock, and whoever
// waits does so for a bounded time.

#include "proxy/admin/gateway_access.hpp"
#include "proxy/worker.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace tidegate {

class gateway_console final : public admin::gateway_access {
 public:
  // Called on the thread of `main`, but is_draining, which any thread may call.
  struct hooks {
    std::function<std::string()> reload;
    std::function<std::string(const change&)> alter;
    std::function<void(admin::shutdown_kind)> shut_down;
    std::function<bool()> is_draining;
  };

  // The workers are all there before the first client is; both outlive every console.
  gateway_console(boost::asio::io_context& main, const std::vector<std::unique_ptr<worker>>& workers,
                  hooks calls)
      : main_(main), workers_(workers), calls_(std::move(calls)) {}

  boost::asio::awaitable<bool> on_every_worker(question ask) override;
  boost::asio::awaitable<std::string> reload() override;
  boost::asio::awaitable<std::string> alter(change how) override;
  void shut_down(admin::shutdown_kind how) override;
  bool is_draining() const override { return calls_.is_draining(); }

 private:
  boost::asio::awaitable<std::string> on_main(std::function<std::string()> call);

  boost::asio::io_context& main_;
  const std::vector<std::unique_ptr<worker>>& workers_;
  hooks calls_;
};

}  // namespace tidegate
