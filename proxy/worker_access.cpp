// What the admin console asks of a worker, on the worker's thread.

#include "protocol/sqlstate.hpp"
#include "proxy/net/connection_ends.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/worker.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate {
namespace {

using clock = std::chrono::steady_clock;
using metrics::disconnect_reason;

constexpr std::string_view ended_by_admin = "terminating connection due to administrator command";

}  // namespace

std::vector<std::shared_ptr<session::client_session>> worker::sessions_of(std::string_view database) const {
  // A session may end, and leave the map, during a call.
  std::vector<std::shared_ptr<session::client_session>> out;
  for (const auto& [key, session] : sessions_) {
    if (database.empty() || session->who().database == database) out.push_back(session);
  }
  return out;
}

boost::asio::awaitable<bool> worker::wait_for_resume(const std::string& database,
                                                     std::chrono::milliseconds at_most) {
  const admin::database_switches& switches = shared_.admin.switches;
  const auto until = at_most.count() == 0 ? clock::time_point::max() : clock::now() + at_most;
  boost::asio::steady_timer again(context_);
  while (switches.any() && switches.is_paused(database)) {
    if (clock::now() >= until || draining_) co_return false;
    again.expires_after(std::chrono::milliseconds(50));
    co_await again.async_wait(boost::asio::use_awaitable);
  }
  co_return true;
}

void worker::report(admin::worker_snapshot& to) {
  for (const auto& [key, session] : sessions_) {
    if (!session->ended()) session->report(to);
  }
  for (const auto& [key, part] : pools_->parts()) {
    for (const auto* servers : {&part->idle, &part->checking}) {
      for (const pool::pooled_server_ptr& each : *servers) {
        admin::server_row row;
        row.id = each->id;
        row.user = part->pool->user;
        row.database = part->pool->database;
        row.state = admin::server_state::idle;
        row.close_needed = each->close_needed;
        row.ends = net::ends_of(each->channel.stream());
        row.connected = each->made_at;
        row.backend_pid = each->backend_pid;
        to.servers.push_back(std::move(row));
      }
    }
  }
  const auto now = clock::now();
  for (const login& each : logins_) {
    to.logins.push_back({each.user, each.database, each.connecting,
                         std::chrono::duration_cast<std::chrono::microseconds>(now - each.since)});
  }
  to.logging_in += static_cast<std::uint64_t>(counters_.clients_logging_in.value());
}

unsigned worker::busy_sessions(std::string_view database) {
  unsigned count = 0;
  for (const auto& [key, session] : sessions_) {
    if ((database.empty() || session->who().database == database) && session->busy()) ++count;
  }
  return count;
}

unsigned worker::end_sessions(std::string_view database) {
  const auto ended = sessions_of(database);
  for (const auto& session : ended)
    session->end(disconnect_reason::admin, protocol::sqlstate::admin_shutdown, ended_by_admin);
  return static_cast<unsigned>(ended.size());
}

bool worker::end_session(std::uint64_t id) {
  for (const auto& session : sessions_of({})) {
    if (session->id() != id || session->ended()) continue;
    session->end(disconnect_reason::admin, protocol::sqlstate::admin_shutdown, ended_by_admin);
    return true;
  }
  return false;
}

unsigned worker::end_sessions_at_rest(std::string_view database) {
  const auto told = sessions_of(database);
  for (const auto& session : told) {
    if (session->lent() != nullptr)
      session->renew_server();
    else
      session->end_when_at_rest(disconnect_reason::admin, ended_by_admin);
  }
  pools_->retire(database);
  return static_cast<unsigned>(told.size());
}

}  // namespace tidegate
