#include "proxy/cli/stall_probe.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

namespace {
constexpr auto pause_between = std::chrono::milliseconds(2);
}

struct stall_probe::state {
  struct client {
    std::chrono::nanoseconds worst{0};
    std::optional<clock::time_point> since;
  };
  std::vector<std::string> tables;
  client reader, writer;
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
  state::client& mine = writes ? shared->writer : shared->reader;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  try {
    for (std::size_t turn = 0; !shared->stopping; ++turn) {
      if (!shared->tables.empty()) {
        const std::string& table = shared->tables[turn % shared->tables.size()];
        std::string sql =
            writes ? "EXPLAIN DELETE FROM " + table + " WHERE false" : "EXPLAIN SELECT 1 FROM " + table;
        const auto began = clock::now();
        mine.since = began;
        co_await client->run(std::move(sql));
        mine.since.reset();
        mine.worst = std::max<std::chrono::nanoseconds>(mine.worst, clock::now() - began);
      }
      timer.expires_after(pause_between);
      co_await timer.async_wait(asio::use_awaitable);
    }
  } catch (const std::exception&) {
    mine.since.reset();  // its connection is gone: nothing is felt any more
  }
}

stall_probe::sample stall_probe::take() {
  const auto now = clock::now();
  const auto taken = [now](state::client& of) {
    auto worst = std::exchange(of.worst, {});
    if (of.since) worst = std::max<std::chrono::nanoseconds>(worst, now - *of.since);
    return worst;
  };
  return {.reader = taken(shared_->reader), .writer = taken(shared_->writer)};
}

}  // namespace tidegate::cli
