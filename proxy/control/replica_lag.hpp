#pragma once
// How far the replicas are behind: what a backfill waits for.

#include "proxy/control/querier.hpp"

#include <chrono>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

// Of the one that is furthest behind, as pg_stat_replication has it (pg_monitor sees it); zero without
// replicas, or when it can't be told.
boost::asio::awaitable<std::chrono::milliseconds> replica_lag(querier& source);

}  // namespace tidegate::control
