#include "proxy/worker.hpp"

#include "policies/sql/parse.hpp"
#include "policies/sql/parse_stack.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/log/log.hpp"
#include "proxy/session/greeting.hpp"
#include "proxy/session/server_request.hpp"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate {
namespace {

using clock = std::chrono::steady_clock;
using metrics::refusal_reason;
namespace sqlstate = protocol::sqlstate;

constexpr std::string_view going_down = "the gateway is shutting down";

refusal_reason counted(session::handshake_failure::reason why) {
  using reason = session::handshake_failure::reason;
  switch (why) {
    case reason::gone:
      return refusal_reason::client_gone;
    case reason::timed_out:
      return refusal_reason::timeout;
    case reason::violation:
      return refusal_reason::protocol;
    case reason::tls:
    case reason::tls_required:
      return refusal_reason::tls;
    case reason::not_allowed:
      return refusal_reason::no_rule;
    case reason::authentication:
      return refusal_reason::authentication;
    case reason::unavailable:
      return refusal_reason::server_unavailable;
  }
  return refusal_reason::protocol;
}

metrics::auth_method_label counted(config::auth_method method) {
  using label = metrics::auth_method_label;
  switch (method) {
    case config::auth_method::scram_sha_256:
      return label::scram_sha_256;
    case config::auth_method::md5:
      return label::md5;
    case config::auth_method::cert:
      return label::cert;
    case config::auth_method::passthrough:
      return label::passthrough;
    case config::auth_method::trust:
    case config::auth_method::reject:
      break;
  }
  return label::reject;
}

metrics::cancel_result counted(pool::cancel_outcome outcome) {
  switch (outcome) {
    case pool::cancel_outcome::forwarded:
      return metrics::cancel_result::forwarded;
    case pool::cancel_outcome::unknown:
      return metrics::cancel_result::unknown_key;
    case pool::cancel_outcome::failed:
      break;
  }
  return metrics::cancel_result::failed;
}

struct refusal_words {
  refusal_reason counted;
  const char* message;
  const char* detail;
};

refusal_words words(admission::refusal why) {
  switch (why) {
    case admission::refusal::too_many_for_database:
      return {refusal_reason::database_limit, "too many clients for this database",
              "The gateway's limit for it (max_clients) is reached."};
    case admission::refusal::too_many_for_user:
      return {refusal_reason::user_limit, "too many clients for this user",
              "The gateway's limit for it (max_clients) is reached."};
    case admission::refusal::pool_full:
      return {refusal_reason::server_unavailable, "no server connection became free in time",
              "All connections of the pool (pool.size) are in use; timeouts.query_wait is how long a client "
              "waits for one."};
    case admission::refusal::too_many_clients:
      break;
  }
  return {refusal_reason::too_many_clients, "sorry, too many clients already",
          "The gateway's limits.max_clients is reached."};
}

bool is_replication(const std::vector<pool::parameter>& parameters) {
  for (const auto& p : parameters) {
    if (p.name == "replication")
      return p.value != "false" && p.value != "off" && p.value != "no" && p.value != "0";
  }
  return false;
}

double seconds(clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

worker::worker(session::shared_services& shared, runtime_slot& runtime, admission& places,
               boost::asio::thread_pool& slow_work, metrics::registry& registry,
               admin::gateway_access& gateway, const std::vector<pool::worker_pools*>& all_pools,
               net::relay relay_by, net::accept_counters& accepting)
    : shared_(shared),
      runtime_(runtime),
      places_(places),
      gateway_(gateway),
      counters_(registry.add_thread()),
      work_(context_.get_executor()),
      poller_(relay_by == net::relay::io_uring ? net::make_io_uring_poller(context_)
                                               : net::make_epoll_poller(context_)),
      acceptor_(context_, *poller_, accepting),
      pools_(std::make_shared<pool::worker_pools>(pool::worker_pools::environment{.context = context_,
                                                                                  .poller = *poller_,
                                                                                  .slow_work = slow_work,
                                                                                  .counters = counters_,
                                                                                  .all = all_pools})),
      environment_{.context = context_,
                   .poller = *poller_,
                   .shared = shared,
                   .counters = counters_,
                   .slow_work = &slow_work,
                   .random = std::mt19937_64(std::random_device{}()),
                   .session_ended = {},
                   .session_held = {},
                   .run_in_background = {}},
      background_({.on = environment_,
                   .runtime = runtime,
                   .places = places,
                   .begin = [this](session::session_start start) { return adopt(std::move(start)); }}),
      ticker_(context_) {
  environment_.run_in_background = [this](session::background_statement&& what) {
    return background_.take(std::move(what));
  };
  environment_.session_ended = [this](session::client_session& gone) {
    sessions_.erase(&gone);
    load_.fetch_sub(1, std::memory_order_relaxed);
  };
  environment_.session_held = [this](session::client_session& held) {
    held_.push_back(held.weak_from_this());
  };
}

worker::~worker() {
  stop();
}

void worker::start() {
  boost::asio::co_spawn(context_, tick(), boost::asio::detached);
  // Statements are parsed on this thread, and the parser recurses.
  thread_ = sql::make_big_stack_thread([this] { context_.run(); });
}

void worker::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(context_, [this] {
    draining_ = true;
    acceptor_.stop();
    for (const auto& [key, session] : std::exchange(sessions_, {})) {
      session->end(metrics::disconnect_reason::draining, sqlstate::admin_shutdown, going_down);
    }
    pools_->close_idle();
    // The sessions' last calls first.
    boost::asio::post(context_, [this] { boost::asio::post(context_, [this] { context_.stop(); }); });
  });
  thread_.join();
}

void worker::accept(std::vector<net::listening_socket_ptr> from, net::acceptor::handoff handed_on) {
  boost::asio::post(context_, [this, from = std::move(from), handed_on = std::move(handed_on)]() mutable {
    acceptor_.start(from, std::move(handed_on));
  });
}

void worker::take(net::accepted_connection connection, admission::place arrival) {
  load_.fetch_add(1, std::memory_order_relaxed);
  boost::asio::co_spawn(context_, serve(std::move(connection), std::move(arrival)), boost::asio::detached);
}

void worker::drain() {
  boost::asio::post(context_, [this] {
    draining_ = true;
    acceptor_.stop();
    background_.drain();
    // A session may end, and leave the map, during the call.
    std::vector<std::shared_ptr<session::client_session>> all;
    for (const auto& [key, session] : sessions_) all.push_back(session);
    for (const auto& session : all)
      session->end_when_at_rest(metrics::disconnect_reason::draining, going_down);
  });
}

void worker::wake_held() {
  boost::asio::post(context_, [this] {
    for (const auto& weak : std::exchange(held_, {})) {
      if (const auto session = weak.lock()) session->gate_opened();
    }
  });
}

boost::asio::awaitable<void> worker::tick() {
  for (;;) {
    ticker_.expires_after(held_.empty() ? std::chrono::milliseconds(500) : std::chrono::milliseconds(100));
    boost::system::error_code error;
    co_await ticker_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
    if (error) co_return;
    std::vector<std::shared_ptr<session::client_session>> all;
    all.reserve(sessions_.size());
    for (const auto& [key, session] : sessions_) all.push_back(session);
    const auto now = clock::now();
    for (const auto& session : all) session->tick(now);
    pools_->tick(now);
    known_logins_.forget_others(runtime_.load());
  }
}

void worker::count(const session::handshake_failure& failure) {
  using reason = session::handshake_failure::reason;
  counters_.connections_refused[counted(failure.why)].add();
  if (failure.why == reason::tls) counters_.tls_handshake_failures[metrics::side::client].add();
  if (failure.why == reason::authentication || failure.why == reason::not_allowed)
    counters_.auth_failures[counted(failure.method)].add();
}

// From the descriptor to a session, a delivered cancel request, or a refusal. The place among those that log
// in goes with the frame.
boost::asio::awaitable<void> worker::serve(net::accepted_connection connection, admission::place arrival) {
  const auto accepted_at = clock::now();
  const auto runtime = runtime_.load();
  counters_.clients_logging_in.add();
  struct leave {
    worker& of;
    ~leave() {
      of.counters_.clients_logging_in.sub();
      of.load_.fetch_sub(1, std::memory_order_relaxed);
    }
  } const on_leaving{*this};

  net::deadline until(context_.get_executor(), runtime->settings->timeouts.login);
  net::stream transport(context_.get_executor(), connection.descriptor, std::move(connection.peer),
                        poller_.get());
  if (!arrival) {
    const refusal_words say = words(admission::refusal::too_many_clients);
    counters_.connections_refused[say.counted].add();
    net::message_stream client(std::move(transport));
    net::deadline say_until(context_.get_executor(), std::chrono::milliseconds(100));
    co_return co_await session::refuse(client, sqlstate::too_many_connections, say.message, say.detail,
                                       say_until);
  }
  auto outcome = co_await session::shake_hands(
      std::move(transport),
      runtime->listeners.at(std::min(connection.listen_index, runtime->listeners.size() - 1)), until);
  if (auto* failure = std::get_if<session::handshake_failure>(&outcome)) {
    count(*failure);
    if (failure->why != session::handshake_failure::reason::gone) {
      log::info<"login_refused">({{"client", failure->peer.to_string()},
                                  {"sqlstate", failure->sqlstate},
                                  {"why", failure->detail.empty() ? failure->message : failure->detail}});
    }
    co_return;
  }
  if (auto* cancel = std::get_if<session::cancel_request>(&outcome)) {
    net::deadline in_time(context_.get_executor(), runtime->settings->timeouts.cancel);
    const bool by_peer = pool::cancel_registry::comes_from_peer(cancel->key);
    pool::cancel_registry::peer_finder peers = [runtime](unsigned id) {
      const auto found = runtime->peers.find(id);
      return found != runtime->peers.end() ? found->second : nullptr;
    };
    const auto result = co_await shared_.cancels.cancel(cancel->pid, std::move(cancel->key),
                                                        cancel->channel.transport().peer(), in_time, peers);
    counters_.cancels[counted(result)].add();
    if (by_peer) {
      const std::array answer{pool::cancel_registry::answer_for_peer(result)};
      co_await cancel->channel.write(answer, in_time);
    }
    cancel->channel.transport().close();
    co_return;
  }
  co_await connect(std::get<session::accepted_client>(outcome), runtime, until, accepted_at);
}

boost::asio::awaitable<void> worker::connect(session::accepted_client& client,
                                             std::shared_ptr<const runtime_settings> runtime,
                                             net::deadline& until, clock::time_point accepted_at) {
  const config::settings& settings = *runtime->settings;
  if (draining_) {
    counters_.connections_refused[refusal_reason::draining].add();
    co_return co_await session::refuse(client.channel, sqlstate::cannot_connect_now, going_down, {}, until);
  }
  if (config::is_console(settings, client.database)) {
    // A session of its own: the login is over with this frame.
    boost::asio::co_spawn(context_, admin::serve_console(std::move(client), shared_, gateway_),
                          boost::asio::detached);
    co_return;
  }
  const config::database_settings* database = config::find_database(settings, client.database);
  if (database == nullptr) {
    counters_.connections_refused[refusal_reason::no_such_database].add();
    co_return co_await session::refuse(
        client.channel, sqlstate::invalid_catalog_name,
        "database \"" + client.database + "\" is not configured",
        "The gateway's configuration has neither an entry for it nor \"*\" under databases.", until);
  }
  const auto mine = logins_.insert(logins_.end(), {client.user, client.database, false, clock::now()});
  struct forget {
    std::list<worker::login>& all;
    std::list<worker::login>::iterator one;
    ~forget() { all.erase(one); }
  } const on_end{logins_, mine};
  const admin::database_switches& switches = shared_.admin.switches;
  if (switches.any()) {
    if (switches.is_disabled(client.database)) {
      counters_.connections_refused[refusal_reason::no_rule].add();
      co_return co_await session::refuse(client.channel, sqlstate::cannot_connect_now,
                                         "database \"" + client.database + "\" is disabled",
                                         "ENABLE in the admin console lets clients in again.", until);
    }
    const bool resumed = co_await wait_for_resume(client.database, settings.timeouts.query_wait);
    if (!resumed) {
      counters_.connections_refused[refusal_reason::server_unavailable].add();
      co_return co_await session::refuse(
          client.channel, sqlstate::cannot_connect_now, "database \"" + client.database + "\" is paused",
          "RESUME in the admin console lets clients in again; timeouts.query_wait "
          "is how long a client waits for it.",
          until);
    }
  }
  auto entered = places_.enter(settings, client.database, client.user);
  const auto wait_until =
      clock::now() +
      (settings.timeouts.query_wait.count() != 0 ? settings.timeouts.query_wait : std::chrono::hours(24));
  while (std::holds_alternative<admission::refusal>(entered) &&
         std::get<admission::refusal>(entered) == admission::refusal::pool_full &&
         clock::now() < wait_until && !draining_) {
    boost::asio::steady_timer retry(context_, std::chrono::milliseconds(10));
    co_await retry.async_wait(boost::asio::use_awaitable);
    entered = places_.enter(settings, client.database, client.user);
  }
  if (const auto* full = std::get_if<admission::refusal>(&entered)) {
    const refusal_words say = words(*full);
    counters_.connections_refused[say.counted].add();
    co_return co_await session::refuse(client.channel, sqlstate::too_many_connections, say.message,
                                       say.detail, until);
  }

  mine->connecting = true;
  const bool shared = database->pool.mode == config::pool_mode::transaction &&
                      client.method != config::auth_method::passthrough && !is_replication(client.parameters);
  if (shared) {
    admission::place place = std::move(std::get<admission::place>(entered));
    co_return co_await join_pool(client, *database, std::move(runtime), std::move(place), accepted_at);
  }
  // By the configuration's name: under trust and passthrough the client's own is anybody's word until the
  // server lets it in.
  metrics::database_metrics& entry = counters_.database(database->name);
  entry.servers[metrics::server_state::connecting].add();
  const auto connect_began = clock::now();
  const pool::server_endpoint_ptr endpoint = runtime->endpoints.at(database);
  net::deadline connect_until(context_.get_executor(), settings.timeouts.server_connect);
  // Built first: gcc 12 destroys an aggregate twice that is made among the arguments of a co_await.
  pool::login_request request = session::request_for(client, *database, endpoint);
  auto again = session::login_again(request, *database);
  const std::string schema = session::schema_of(request);
  const bool asks_client = client.method == config::auth_method::passthrough;
  auto server =
      co_await pool::log_in(std::move(request), *environment_.slow_work, asks_client ? until : connect_until);
  entry.servers[metrics::server_state::connecting].sub();
  if (!server) {
    const pool::login_failure& failure = server.error();
    entry.server_connect_failures[pool::counted(failure.why)].add();
    // Class 28: the server has judged the client.
    const bool is_authentication = asks_client && failure.sqlstate.starts_with("28");
    counters_
        .connections_refused[is_authentication ? refusal_reason::authentication
                                               : refusal_reason::server_unavailable]
        .add();
    if (is_authentication) counters_.auth_failures[metrics::auth_method_label::passthrough].add();
    log::warning<"server_login_failed">({{"database", client.database},
                                         {"server", endpoint->to_string()},
                                         {"sqlstate", failure.sqlstate},
                                         {"why", failure.detail.empty() ? failure.message : failure.detail}});
    net::deadline say(context_.get_executor(), std::chrono::seconds(5));
    co_await client.channel.write(pool::to_error_response(failure), say);
    client.channel.transport().close();
    co_return;
  }
  if (draining_)
    co_return co_await session::refuse(client.channel, sqlstate::cannot_connect_now, going_down, {}, until);
  const metrics::session_metrics counted_as = counters_.session(client.database, client.user);
  counted_as.database->server_connections.add();
  counted_as.database->server_connect_seconds.observe(seconds(clock::now() - connect_began));
  counted_as.user->client_connections.add();

  session::session_start start;
  const char transaction_status = server->transaction_status;
  const protocol::byte_buffer notices = std::move(server->notices);
  const std::vector<pool::parameter> parameters = server->parameters;
  start.server_unread = std::move(server->leftover);
  start.server = pool::make_server(std::move(*server), endpoint);
  if (start.server->backend_pid != 0)
    start.cancel = shared_.cancels.enroll(start.server->backend_pid, client.version, start.server->cancel);
  start.greeting = session::greet(client, notices, parameters, transaction_status, start.cancel);
  start.server_parameters = start.server->parameters;
  start.transaction_status = transaction_status;
  if (auto target = control::control_target_of(*database, client.database))
    start.control = std::make_shared<const control::control_target>(std::move(*target));
  start.metrics = counted_as;
  start.schema = shared_.schemas.of(schema);
  start.again = std::move(again);
  start.admission = std::move(std::get<admission::place>(entered));
  begin(std::move(start), client, accepted_at);
}

void worker::begin(session::session_start start, session::accepted_client& client,
                   clock::time_point accepted_at) {
  start.who = {.user = client.user,
               .database = client.database,
               .identity = client.identity,
               .peer = client.channel.transport().peer(),
               .replication = is_replication(client.parameters)};
  start.client_unread = client.channel.take_unread();
  start.client = client.channel.take_transport().release();
  counters_.login_seconds.observe(seconds(clock::now() - accepted_at));
  if (log::is_enabled(log::log_level::debug)) {
    log::debug<"client_connected">(
        {{"client", start.who.peer.to_string()}, {"database", start.who.database}, {"user", start.who.user}});
  }
  adopt(std::move(start));
}

std::shared_ptr<session::client_session> worker::adopt(session::session_start start) {
  auto made = std::make_shared<session::client_session>(environment_, std::move(start));
  sessions_.emplace(made.get(), made);
  load_.fetch_add(1, std::memory_order_relaxed);
  made->start();
  return made;
}

}  // namespace tidegate
