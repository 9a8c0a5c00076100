#include "proxy/cli/application_load.hpp"

#include "proxy/cli/wait_meter.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <random>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;

namespace {
constexpr auto think_time = std::chrono::milliseconds(4);
}

struct application_load::state {
  std::uint64_t rows = 0;
  bool stopping = false;
  sample now;
  std::array<wait_meter, clients> waits;
};

application_load::application_load(asio::any_io_executor executor, sql_address where, std::uint64_t rows)
    : executor_(std::move(executor)), where_(std::move(where)), shared_(std::make_shared<state>()) {
  shared_->rows = rows;
}

application_load::~application_load() {
  shared_->stopping = true;
}

asio::awaitable<void> application_load::start() {
  for (unsigned number = 0; number < clients; ++number) {
    auto client = std::make_unique<sql_client>(executor_);
    co_await client->connect(where_);
    asio::co_spawn(executor_, work(shared_, std::move(client), number), asio::detached);
  }
}

asio::awaitable<void> application_load::work(std::shared_ptr<state> shared,
                                             std::unique_ptr<sql_client> client, unsigned number) {
  std::minstd_rand random(number + 1);
  std::uniform_int_distribution<std::uint64_t> any_order(1, shared->rows);
  asio::steady_timer timer(co_await asio::this_coro::executor);
  try {
    for (bool reads = true; !shared->stopping; reads = !reads) {
      const std::string order = std::to_string(any_order(random));
      std::string sql = reads ? "SELECT customer, total, status FROM orders WHERE id = " + order
                              : "UPDATE orders SET status = 'shipped' WHERE id = " + order;
      shared->waits[number].begin();
      const sql_answer answer = co_await client->run(std::move(sql));
      shared->waits[number].end();
      ++shared->now.statements;
      if (answer.error) ++shared->now.errors;
      timer.expires_after(think_time);
      co_await timer.async_wait(asio::use_awaitable);
    }
  } catch (const std::exception&) {
    ++shared->now.errors;
    shared->waits[number].abandon();
  }
}

application_load::sample application_load::take() {
  sample taken = std::exchange(shared_->now, {});
  for (wait_meter& each : shared_->waits) taken.worst_wait = std::max(taken.worst_wait, each.take());
  return taken;
}

}  // namespace tidegate::cli
