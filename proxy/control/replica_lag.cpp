#include "proxy/control/replica_lag.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace tidegate::control {

boost::asio::awaitable<std::chrono::milliseconds> replica_lag(querier& source) {
  std::vector<command> commands;
  commands.push_back({.sql =
                          "SELECT (EXTRACT(epoch FROM pg_catalog.max(r.replay_lag)) * 1000)::pg_catalog.int8 "
                          "FROM pg_catalog.pg_stat_replication AS r",
                      .reused = true});
  const auto outcomes = co_await source.run(std::move(commands));
  if (!outcomes.front() || outcomes.front()->rows.empty()) co_return std::chrono::milliseconds(0);
  co_return std::chrono::milliseconds(number<std::int64_t>(outcomes.front()->rows.front(), 0).value_or(0));
}

}  // namespace tidegate::control
