#include "proxy/cli/stall_probe.hpp"

#include "proxy/cli/wait_meter.hpp"

#include <cstddef>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;

namespace {
constexpr auto pause_between = std::chrono::milliseconds(2);
}

struct stall_probe::state {
  std::vector<std::string> tables;
  wait_meter reader, writer;
  bool stopping = false;
};

stall_probe::stall_probe(asio::any_io_executor executor, sql_address where)
    : executor_(std::move(executor)), where_(std::move(where)), shared_(std::make_shared<state>()) {}

stall_probe::~stall_probe() {
  shared_->stopping = true;
}

asio::awaitable<void> stall_probe::start() {
  for (const bool writes : {false, true}) {
    auto client = std::make_unique<sql_client>(executor_);
    co_await client->connect(where_);
    asio::co_spawn(executor_, ask(shared_, std::move(client), writes), asio::detached);
  }
}

void stall_probe::watch(std::vector<std::string> tables) {
  shared_->tables = std::move(tables);
}

asio::awaitable<void> stall_probe::ask(std::shared_ptr<state> shared, std::unique_ptr<sql_client> client,
                                       bool writes) {
  wait_meter& mine = writes ? shared->writer : shared->reader;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  try {
    for (std::size_t turn = 0; !shared->stopping; ++turn) {
      if (!shared->tables.empty()) {
        const std::string& table = shared->tables[turn % shared->tables.size()];
        std::string sql =
            writes ? "EXPLAIN DELETE FROM " + table + " WHERE false" : "EXPLAIN SELECT 1 FROM " + table;
        mine.begin();
        co_await client->run(std::move(sql));
        mine.end();
      }
      timer.expires_after(pause_between);
      co_await timer.async_wait(asio::use_awaitable);
    }
  } catch (const std::exception&) {
    mine.abandon();
  }
}

stall_probe::sample stall_probe::take() {
  return {.reader = shared_->reader.take(), .writer = shared_->writer.take()};
}

}  // namespace tidegate::cli
