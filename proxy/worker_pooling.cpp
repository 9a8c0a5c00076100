// How a client of a transaction pool begins: it is greeted with what a server of its pool reports, and gets
// one when it asks for something.

#include "protocol/session_info.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
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

// Notes what such a client is greeted with.
void set_greeting(known_login& login, pool::value_set of_pool, const std::string& application) {
  login.greeting = of_pool;
  login.parameters = std::move(of_pool);
  if (!application.empty()) {
    login.settings = pool::with_value({}, own_setting, application);
    login.parameters = pool::with_value(login.parameters, own_setting, application);
  }
  login.encoded.clear();
  protocol::writer to(login.encoded);
  for (const pool::parameter& each : *login.parameters)
    encode(to, protocol::parameter_status{each.name, each.value});
}

}  // namespace

// The pool of such clients, with the terms of this one's login; what it is greeted with is not known yet.
known_login worker::find_pool(session::accepted_client& client, const config::database_settings& database,
                              const std::shared_ptr<const runtime_settings>& runtime,
                              pool::server_pool_ptr& pool) {
  pool::login_request request = session::request_for(client, database, runtime->endpoints.at(&database));
  request.version = protocol::protocol_3_0;
  std::erase_if(request.parameters, [](const auto& each) { return each.name == own_setting; });
  known_login found;
  found.runtime = runtime;
  found.proof = request.with;
  found.user_on_server = request.user;
  if (auto target = control::control_target_of(database, client.database))
    found.control = std::make_shared<const control::control_target>(std::move(*target));
  found.metrics = counters_.session(client.database, client.user);
  const std::string key = key_of(client, database, request);
  pool = shared_.pools.find_or_make(key, client.database, client.user, database.name,
                                    shared_.schemas.of(session::schema_of(request)));
  found.pool = pool;
  found.share = pool->queue.share_of(client.application_name);
  // A login that began before a reload must not bring the old terms back.
  if (!pool->current() || runtime_.load() == runtime)
    pool->set_terms({std::move(request), database.pool, runtime->settings->timeouts.server_connect});
  return found;
}

boost::asio::awaitable<void> worker::join_pool(session::accepted_client& client,
                                               const config::database_settings& database,
                                               std::shared_ptr<const runtime_settings> runtime,
                                               admission::place place, clock::time_point accepted_at) {
  std::string key = known_logins::key_of(client);
  known_login_ptr known = known_logins_.find(key, runtime, session::credentials_of(client, database));
  pool::server_pool_ptr pool = known ? known->pool.lock() : nullptr;
  // Servers are logged in with the latest proof, which may have come by another worker.
  if (pool && pool->current()->request.with != known->proof) pool = nullptr;
  if (!pool) known = std::make_shared<known_login>(find_pool(client, database, runtime, pool));
  pool::worker_pools::part& part = pools_->enter(pool);
  struct leave {
    std::shared_ptr<pool::worker_pools> pools;
    pool::worker_pools::part* of;
    ~leave() {
      if (of != nullptr) pools->leave(*of);
    }
  } on_failure{pools_, &part};
  if (!pool->greeting()) {
    const bool opened = co_await open_first(part, client.channel, runtime->settings->timeouts.query_wait);
    if (!opened) co_return;
  }
  if (draining_) {
    net::deadline say(context_.get_executor(), std::chrono::seconds(5));
    co_return co_await session::refuse(client.channel, sqlstate::cannot_connect_now,
                                       "the gateway is shutting down", {}, say);
  }
  if (pool::value_set greeting = pool->greeting(); known->greeting != greeting) {
    set_greeting(*known, std::move(greeting), client.application_name);
    known_logins_.remember(std::move(key), known);
  }

  // So that the session sees by the pointer that its server reports what it was told.
  if (!part.idle.empty()) pool::unify(known->parameters, part.idle.back()->parameters);

  session::session_start start;
  start.lent = std::make_unique<session::lending>(*pools_, part);
  on_failure.of = nullptr;
  start.lent->application_name = client.application_name;
  start.lent->settings = known->settings;
  start.lent->share = known->share;
  start.lent->known = known->parameters;
  start.lent->login_user = known->user_on_server;
  start.cancel = shared_.cancels.enroll(next_pid(), client.version, nullptr);
  start.greeting = session::greet(client, known->encoded, {}, 'I', start.cancel);
  start.server_parameters = known->parameters;
  start.control = known->control;
  start.metrics = known->metrics;
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
