// How a client of a transaction pool begins: it is greeted with what a server of its pool reports, and gets
// one when it asks for something.

#include "protocol/sqlstate.hpp"
#include "proxy/session/greeting.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/server_request.hpp"
#include "proxy/worker.hpp"

#include <atomic>
#include <random>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate {
namespace {

using clock = std::chrono::steady_clock;
namespace sqlstate = protocol::sqlstate;

constexpr std::string_view own_setting = "application_name";

// What clients see as the pid of their session, since they have no server of their own. Like a real one it is
// above 0.
std::int32_t next_pid() {
  static std::atomic<std::uint32_t> next{std::random_device{}()};
  const std::uint32_t pid = next.fetch_add(1, std::memory_order_relaxed) & 0x7fffffff;
  return pid == 0 ? 1 : static_cast<std::int32_t>(pid);
}

// Everything that makes a difference to what a server session is or may do. Each part is told apart by its
// length.
std::string key_of(const session::accepted_client& client, const config::database_settings& database,
                   const pool::login_request& request) {
  std::string key;
  const auto add = [&key](std::string_view part) {
    key += std::to_string(part.size());
    key += ':';
    key += part;
  };
  add(database.name);
  add(client.database);
  add(client.user);
  add(client.identity);
  add(std::to_string(static_cast<int>(client.method)));
  add(request.endpoint->to_string());
  add(std::to_string(static_cast<int>(request.endpoint->tls_mode)));
  add(request.user);
  add(request.database);
  add(std::to_string(request.with.index()));
  for (const pool::parameter& each : request.parameters) {
    add(each.name);
    add(each.value);
  }
  return key;
}

}  // namespace

boost::asio::awaitable<void> worker::join_pool(session::accepted_client client,
                                               const config::database_settings& database,
                                               std::shared_ptr<const runtime_settings> runtime,
                                               admission::place place, clock::time_point accepted_at) {
  const config::settings& settings = *runtime->settings;
  pool::login_request request = session::request_for(client, database, runtime->endpoints.at(&database));
  request.version = protocol::protocol_3_0;
  std::erase_if(request.parameters, [](const auto& each) { return each.name == own_setting; });
  const std::string login_user = request.user;
  const std::string key = key_of(client, database, request);
  core::schema_epoch_ptr schema = shared_.schemas.of(session::schema_of(request));
  const pool::server_pool_ptr pool =
      shared_.pools.find_or_make(key, client.database, client.user, database.name, schema);
  // A login that began before a reload must not bring the old terms back.
  if (!pool->current() || runtime_.load() == runtime)
    pool->set_terms({std::move(request), database.pool, settings.timeouts.server_connect});
  pool::worker_pools::part& part = pools_->enter(pool);
  struct leave {
    std::shared_ptr<pool::worker_pools> pools;
    pool::worker_pools::part* of;
    ~leave() {
      if (of != nullptr) pools->leave(*of);
    }
  } on_failure{pools_, &part};
  const bool opened = co_await open_first(part, client.channel, settings.timeouts.query_wait);
  if (!opened) co_return;
  if (draining_) {
    net::deadline say(context_.get_executor(), std::chrono::seconds(5));
    co_return co_await session::refuse(client.channel, sqlstate::cannot_connect_now,
                                       "the gateway is shutting down", {}, say);
  }

  session::session_start start;
  start.lent = std::make_unique<session::lending>(*pools_, part);
  on_failure.of = nullptr;
  pool::value_set parameters = pool->greeting();
  if (!client.application_name.empty()) {
    start.lent->application_name = client.application_name;
    start.lent->settings = pool::with_value({}, own_setting, client.application_name);
    parameters = pool::with_value(parameters, own_setting, client.application_name);
  }
  start.lent->share = pool->queue.share_of(client.application_name);
  start.lent->known = parameters;
  start.lent->login_user = login_user;
  start.cancel = shared_.cancels.enroll(next_pid(), client.version, nullptr);
  start.greeting = session::greet(client, {}, *parameters, 'I', start.cancel);
  start.server_parameters = std::move(parameters);
  start.control = control::control_target_of(database, client.database);
  start.metrics = counters_.session(client.database, client.user);
  start.metrics.user->client_connections.add();
  start.schema = pool->schema;
  start.admission = std::move(place);
  begin(std::move(start), client, accepted_at);
}

// Nobody knows what a server of the pool reports before one has logged in. False: that failed, and the client
// was told.
boost::asio::awaitable<bool> worker::open_first(pool::worker_pools::part& part, net::message_stream& client,
                                                std::chrono::milliseconds at_most) {
  const auto until = clock::now() + (at_most.count() != 0 ? at_most : std::chrono::hours(24));
  boost::asio::steady_timer again(context_);
  while (!part.pool->greeting()) {
    if (part.pool->enter()) {
      part.pool->connecting.fetch_add(1);
      const auto failure = co_await pools_->open_one(part);
      if (!failure) continue;
      counters_.connections_refused[metrics::refusal_reason::server_unavailable].add();
      net::deadline say(context_.get_executor(), std::chrono::seconds(5));
      co_await client.write(pool::to_error_response(*failure), say);
      client.transport().close();
      co_return false;
    }
    if (clock::now() >= until || draining_) {
      net::deadline say(context_.get_executor(), std::chrono::seconds(5));
      co_await session::refuse(
          client, sqlstate::too_many_connections, "no server connection became free in time",
          "All connections of the pool (pool.size) are being opened; timeouts.query_wait is "
          "how long a client waits.",
          say);
      co_return false;
    }
    again.expires_after(std::chrono::milliseconds(5));
    co_await again.async_wait(boost::asio::use_awaitable);
  }
  co_return true;
}

}  // namespace tidegate
