#include "proxy/gateway_console.hpp"

#include <atomic>
#include <chrono>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds patience_with_workers{5};
constexpr std::chrono::seconds patience_with_main{30};

// Answers that are awaited from other threads. It may outlive the coroutine that waits and the context that
// one runs on: so it holds neither its timer nor work of its executor.
struct answers {
  std::atomic<std::size_t> missing{0};
  std::weak_ptr<asio::steady_timer> waiting;
  asio::any_io_executor asker;
};

void one_came(const std::shared_ptr<answers>& all) {
  if (all->missing.fetch_sub(1) != 1) return;
  asio::post(all->asker, [all] {
    if (const auto timer = all->waiting.lock()) timer->cancel();
  });
}

asio::awaitable<bool> wait_for(std::shared_ptr<answers> all, std::shared_ptr<asio::steady_timer> timer) {
  boost::system::error_code ignored;
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return all->missing == 0;
}

}  // namespace

asio::awaitable<bool> gateway_console::on_every_worker(question ask) {
  const auto executor = co_await asio::this_coro::executor;
  const auto timer = std::make_shared<asio::steady_timer>(executor, patience_with_workers);
  const auto all = std::make_shared<answers>();
  all->missing = workers_.size();
  all->waiting = timer;
  all->asker = executor;
  for (const auto& each : workers_) {
    asio::post(each->context(), [to = each.get(), ask, all] {
      ask(to->access());
      one_came(all);
    });
  }
  co_return co_await wait_for(all, timer);
}

asio::awaitable<std::string> gateway_console::on_main(std::function<std::string()> call) {
  const auto executor = co_await asio::this_coro::executor;
  const auto timer = std::make_shared<asio::steady_timer>(executor, patience_with_main);
  const auto all = std::make_shared<answers>();
  const auto said = std::make_shared<std::string>();
  all->missing = 1;
  all->waiting = timer;
  all->asker = executor;
  asio::post(main_, [call = std::move(call), said, all] {
    *said = call();
    one_came(all);
  });
  const bool came = co_await wait_for(all, timer);
  co_return came ? *said : std::string("The gateway did not answer in time; it may still do it.");
}

asio::awaitable<std::string> gateway_console::reload() {
  std::function<std::string()> call = calls_.reload;
  co_return co_await on_main(std::move(call));
}

asio::awaitable<std::string> gateway_console::alter(change how) {
  std::function<std::string()> call = [this, how = std::move(how)] { return calls_.alter(how); };
  co_return co_await on_main(std::move(call));
}

void gateway_console::shut_down(admin::shutdown_kind how) {
  asio::post(main_, [this, how] { calls_.shut_down(how); });
}

}  // namespace tidegate
