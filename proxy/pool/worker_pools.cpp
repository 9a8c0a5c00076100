#include "proxy/pool/worker_pools.hpp"

#include "protocol/frame.hpp"
#include "protocol/reader.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/log/log.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

namespace tidegate::pool {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint32_t longest_idle_message = 64 * 1024;
constexpr auto time_between_replacements = std::chrono::milliseconds(500);
// A server that has not answered the pool's Sync for so long is given up.
constexpr auto check_timeout = std::chrono::seconds(15);

constexpr std::array<std::byte, 5> sync_message = {std::byte{'S'}, std::byte{0}, std::byte{0}, std::byte{0},
                                                   std::byte{4}};
constexpr std::array<std::byte, 5> terminate_message = {std::byte{'X'}, std::byte{0}, std::byte{0},
                                                        std::byte{0}, std::byte{4}};

double seconds(clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

metrics::connect_failure counted(login_failure::reason why) {
  using reason = login_failure::reason;
  switch (why) {
    case reason::unreachable:
      return metrics::connect_failure::unreachable;
    case reason::timed_out:
      return metrics::connect_failure::timeout;
    case reason::tls:
      return metrics::connect_failure::tls;
    case reason::unauthenticated:
      return metrics::connect_failure::authentication;
    case reason::refused:
    case reason::violation:
    case reason::client_gone:
      break;
  }
  return metrics::connect_failure::refused;
}

worker_pools::~worker_pools() = default;

worker_pools::part& worker_pools::part_of(const server_pool_ptr& pool) {
  std::unique_ptr<part>& slot = parts_[pool.get()];
  if (!slot) {
    slot = std::make_unique<part>(pool);
    slot->metrics = &on_.counters.database(pool->entry);
  }
  slot->used = clock::now();
  return *slot;
}

worker_pools::part& worker_pools::enter(const server_pool_ptr& pool) {
  part& mine = part_of(pool);
  ++mine.clients;
  return mine;
}

void worker_pools::leave(part& of) {
  --of.clients;
  of.used = clock::now();
}

// ---- taking and giving back ----

pooled_server_ptr worker_pools::take(part& of, const application_share_ptr& share) {
  waiting_queue& queue = of.pool->queue;
  if (of.idle.empty() || queue.waiting() != 0) return nullptr;
  const bool counted = queue.limit() != 0;
  if (counted && !queue.enter(*share)) return nullptr;
  auto server = std::move(of.idle.back());
  of.idle.pop_back();
  if (counted) server->lent_to = share;
  of.pool->idle.fetch_sub(1);
  of.metrics->move_server(metrics::server_state::idle, metrics::server_state::active);
  return server;
}

waiter_ptr worker_pools::wait(part& of, application_share_ptr share, std::weak_ptr<server_taker> taker) {
  auto one = std::make_shared<waiter>();
  one->home = this;
  one->taker = std::move(taker);
  one->share = std::move(share);
  one->since = clock::now();
  if (!of.pool->queue.wait(one)) return one;
  if (!of.idle.empty()) {
    serve_soon(of.pool);
  } else {
    if (of.pool->idle.load() != 0) {
      for (worker_pools* other : on_.all) {
        if (other != this) other->serve_soon(of.pool);
      }
    }
    open_more(of);
  }
  return one;
}

bool worker_pools::forget(part& of, const waiter_ptr& one) {
  if (!of.pool->queue.forget(one)) return false;
  // An idle server may be for the next of its application.
  if (of.pool->queue.waiting() != 0 && of.pool->idle.load() != 0) {
    for (worker_pools* each : on_.all) each->serve_soon(of.pool);
  }
  return true;
}

void worker_pools::give_back(part& of, pooled_server_ptr server) {
  of.used = server->idle_since = on_.poller.now();
  server->channel.set_handler(*this);
  if (server->close_needed || closed_ || server->channel.broken() || replace_now(of, *server, of.used))
    return discard(of, std::move(server));
  take_from_share(of, *server);
  if (!server->channel.reading()) on_.poller.set_reading(server->channel, true);
  put_idle(of, std::move(server));
  if (of.pool->queue.waiting() != 0) serve(of);
}

void worker_pools::take_from_share(part& of, pooled_server& server) {
  if (const auto share = std::exchange(server.lent_to, nullptr)) of.pool->queue.leave(*share);
}

// What functions of a server have cached of the schema (plpgsql's types of rows) does not follow every
// change: servers that are older are replaced, one after the other.
bool worker_pools::replace_now(part& of, const pooled_server& server, clock::time_point now) {
  if (server.made_epoch == of.pool->schema->now() || now - of.replaced < time_between_replacements)
    return false;
  of.replaced = now;
  return true;
}

void worker_pools::put_idle(part& of, pooled_server_ptr server) {
  of.metrics->move_server(metrics::server_state::active, metrics::server_state::idle);
  of.idle.push_back(std::move(server));
  of.pool->idle.fetch_add(1);
}

void worker_pools::discard(part& of, pooled_server_ptr server) {
  of.metrics->servers[metrics::server_state::active].sub();
  take_from_share(of, *server);
  close(of, std::move(server));
}

// The places of servers that go are for who waits.
void worker_pools::close(part& of, pooled_server_ptr server) {
  // A goodbye as far as it can be said; the descriptor is closed in a later turn, since the poller may be
  // inside a call about it.
  server->channel.set_handler(*this);
  if (!server->channel.broken() && server->channel.unsent() == 0)
    on_.poller.send(server->channel, terminate_message);
  on_.poller.remove(server->channel);
  boost::asio::post(on_.context, [gone = std::move(server)] {});
  of.pool->leave();
  if (of.pool->queue.waiting() != 0 && !closed_) open_more(of);
}

void worker_pools::serve(part& of) {
  while (!of.idle.empty()) {
    waiter_ptr first = of.pool->queue.next();
    if (!first) return;
    auto server = std::move(of.idle.back());
    of.idle.pop_back();
    if (first->counted) server->lent_to = first->share;
    of.pool->idle.fetch_sub(1);
    of.metrics->move_server(metrics::server_state::idle, metrics::server_state::active);
    hand_over(of, std::move(server), first);
  }
  if (of.pool->queue.waiting() != 0) open_more(of);
}

void worker_pools::hand_over(part& of, pooled_server_ptr server, const waiter_ptr& to) {
  if (to->home == this) return arrive(of.pool, std::move(server), to->taker);
  of.metrics->servers[metrics::server_state::active].sub();
  struct move {
    worker_pools* home;
    server_pool_ptr pool;
    pooled_server_ptr server;
    std::weak_ptr<server_taker> taker;
  };
  auto moving = std::make_shared<move>(move{to->home, of.pool, std::move(server), to->taker});
  net::channel& channel = moving->server->channel;
  on_.poller.release(channel, [moving](std::vector<std::byte> unread) {
    auto& kept = moving->server->unread;
    kept.insert(kept.end(), unread.begin(), unread.end());
    boost::asio::post(moving->home->on_.context, [moving] {
      worker_pools& home = *moving->home;
      part& there = home.part_of(moving->pool);
      there.metrics->servers[metrics::server_state::active].add();
      moving->server->channel.set_handler(home);
      home.on_.poller.add(moving->server->channel);
      home.arrive(moving->pool, std::move(moving->server), moving->taker);
    });
  });
}

void worker_pools::arrive(const server_pool_ptr& pool, pooled_server_ptr server,
                          const std::weak_ptr<server_taker>& to) {
  if (const auto taker = to.lock())
    taker->server_ready(std::move(server));
  else
    give_back(part_of(pool), std::move(server));
}

void worker_pools::serve_soon(server_pool_ptr pool) {
  boost::asio::post(on_.context, [this, pool = std::move(pool)] {
    if (!closed_) serve(part_of(pool));
  });
}

// ---- new servers ----

void worker_pools::open_more(part& of, bool with_reserve) {
  if (closed_) return;
  while (of.pool->connecting.load() < of.pool->queue.waiting() && of.pool->enter(with_reserve)) {
    of.pool->connecting.fetch_add(1);
    // In a turn of its own: an attempt that fails at once would give its place back here and be made again
    // for ever. As it is, the next is made when somebody else comes to wait, or with the next tick.
    boost::asio::post(on_.context, [this, pool = of.pool] {
      boost::asio::co_spawn(on_.context, open(pool), boost::asio::detached);
    });
  }
}

boost::asio::awaitable<void> worker_pools::open(server_pool_ptr pool) {
  part& of = part_of(pool);
  ++of.clients;  // it stays
  const auto failure = co_await open_one(of);
  --of.clients;
  if (failure) failed(pool, *failure);
}

boost::asio::awaitable<std::optional<login_failure>> worker_pools::open_one(part& of) {
  const auto began = clock::now();
  const auto terms = of.pool->current();
  of.metrics->servers[metrics::server_state::connecting].add();
  net::deadline until(on_.context.get_executor(), terms->connect_timeout);
  // Built first: gcc 12 destroys an aggregate twice that is made among the arguments of a co_await.
  login_request request = terms->request;
  auto login = co_await log_in(std::move(request), on_.slow_work, until);
  of.metrics->servers[metrics::server_state::connecting].sub();
  of.pool->connecting.fetch_sub(1);
  if (!login) {
    const login_failure& failure = login.error();
    of.pool->leave();
    of.metrics->server_connect_failures[counted(failure.why)].add();
    log::warning<"server_login_failed">({{"database", of.pool->database},
                                         {"server", terms->request.endpoint->to_string()},
                                         {"sqlstate", failure.sqlstate},
                                         {"why", failure.detail.empty() ? failure.message : failure.detail}});
    co_return failure;
  }
  of.metrics->server_connections.add();
  of.metrics->server_connect_seconds.observe(seconds(clock::now() - began));
  adopt(of, std::move(*login), terms->request.endpoint);
  co_return std::nullopt;
}

void worker_pools::adopt(part& of, logged_in_server&& login, const server_endpoint_ptr& endpoint) {
  const bool odd = !login.leftover.empty() || login.transaction_status != 'I';
  auto server = make_server(std::move(login), endpoint);
  server->channel.set_handler(*this);
  server->made_epoch = of.pool->schema->now();
  of.metrics->servers[metrics::server_state::active].add();
  on_.poller.add(server->channel);
  if (odd || closed_) return discard(of, std::move(server));
  of.pool->set_greeting(server->parameters);
  give_back(of, std::move(server));
}

// While other servers work, who waits may still get one of those.
void worker_pools::failed(const server_pool_ptr& pool, const login_failure& why) {
  if (pool->open() != 0) return;
  for (const waiter_ptr& each : pool->queue.take_all()) {
    boost::asio::post(each->home->on_.context, [taker = each->taker, why] {
      if (const auto to = taker.lock()) to->server_failed(why);
    });
  }
}

// ---- idle servers ----

void worker_pools::tick(clock::time_point now) {
  std::vector<part*> all;
  for (const auto& [key, of] : parts_) all.push_back(of.get());
  for (part* of : all) {
    const auto terms = of->pool->current();
    const config::pool_settings& bounds = terms->bounds;
    const auto passed = [now](clock::time_point since, config::milliseconds limit) {
      return limit.count() != 0 && now - since >= limit;
    };
    unsigned spare = of->pool->open() > bounds.minimum ? of->pool->open() - bounds.minimum : 0;
    std::vector<net::channel*> gone;
    for (const pooled_server_ptr& server : of->idle) {
      // Servers that were opened together do not all go together.
      const auto jitter =
          config::milliseconds(bounds.lifetime.count() / 10 * static_cast<long>(server->id % 16) / 16);
      const bool old = passed(server->made, bounds.lifetime - jitter);
      const bool unused = spare > 0 && passed(server->idle_since, bounds.idle_timeout);
      const bool stale = replace_now(*of, *server, now);
      if (!old && !unused && !stale && !server->close_needed) continue;
      gone.push_back(&server->channel);
      if (spare > 0) --spare;
    }
    for (const pooled_server_ptr& server : of->checking) {
      if (now - server->checked >= check_timeout) gone.push_back(&server->channel);
    }
    for (net::channel* each : gone) lose(*each);
    if (bounds.check_after.count() != 0) start_checks(*of, bounds, now);
    if (of->pool->queue.waiting() != 0) {
      if (!of->idle.empty()) serve(*of);
      const auto oldest = of->pool->queue.oldest();
      open_more(*of, bounds.reserve != 0 && oldest && passed(*oldest, bounds.reserve_after));
    } else if (of->clients != 0 && of->pool->open() < bounds.minimum && of->pool->enter()) {
      of->pool->connecting.fetch_add(1);
      boost::asio::co_spawn(on_.context, open(of->pool), boost::asio::detached);
    }
  }
  std::erase_if(parts_, [now](const auto& each) {
    const part& of = *each.second;
    return of.clients == 0 && of.idle.empty() && of.checking.empty() &&
           now - of.used > std::chrono::minutes(1);
  });
}

// A server that was idle for long is asked whether it is still there: a connection that a firewall has
// dropped would be noticed by the client that gets it, minutes later.
void worker_pools::start_checks(part& of, const config::pool_settings& bounds, clock::time_point now) {
  for (std::size_t i = 0; i < of.idle.size();) {
    pooled_server_ptr& server = of.idle[i];
    if (now - std::max(server->idle_since, server->checked) < bounds.check_after) {
      ++i;
      continue;
    }
    server->checked = now;
    on_.poller.send(server->channel, sync_message);
    of.checking.push_back(std::move(server));
    of.idle.erase(of.idle.begin() + static_cast<std::ptrdiff_t>(i));
    of.pool->idle.fetch_sub(1);
  }
}

void worker_pools::retire(std::string_view database) {
  ++retired_;
  for (const auto& [key, of] : parts_) {
    if (!database.empty() && of->pool->database != database) continue;
    for (const pooled_server_ptr& server : of->idle) server->close_needed = true;
  }
  tick(clock::now());
}

void worker_pools::close_idle() {
  closed_ = true;
  for (const auto& [key, of] : parts_) {
    while (!of->idle.empty()) lose(of->idle.back()->channel);
    while (!of->checking.empty()) lose(of->checking.back()->channel);
  }
}

std::pair<worker_pools::part*, pooled_server_ptr> worker_pools::take_out(net::channel& wanted) {
  const auto is_it = [&wanted](const pooled_server_ptr& each) { return &each->channel == &wanted; };
  for (const auto& [key, of] : parts_) {
    if (const auto at = std::find_if(of->idle.begin(), of->idle.end(), is_it); at != of->idle.end()) {
      auto out = std::move(*at);
      of->idle.erase(at);
      of->pool->idle.fetch_sub(1);
      return {of.get(), std::move(out)};
    }
    if (const auto at = std::find_if(of->checking.begin(), of->checking.end(), is_it);
        at != of->checking.end()) {
      auto out = std::move(*at);
      of->checking.erase(at);
      return {of.get(), std::move(out)};
    }
  }
  return {nullptr, nullptr};
}

// Not lent, and no longer of use.
void worker_pools::lose(net::channel& gone) {
  auto [of, server] = take_out(gone);
  if (of == nullptr) return;
  of->metrics->servers[metrics::server_state::idle].sub();
  close(*of, std::move(server));
}

void worker_pools::on_received(net::channel& from, std::span<const std::byte> bytes) {
  for (const auto& [key, of] : parts_) {
    for (const pooled_server_ptr& server : of->idle) {
      if (&server->channel != &from) continue;
      if (!read_idle(*server, bytes, false)) lose(from);
      return;
    }
    for (const pooled_server_ptr& server : of->checking) {
      if (&server->channel != &from) continue;
      if (!read_idle(*server, bytes, true)) return lose(from);
      if (server->checked == clock::time_point{}) checked(from);
      return;
    }
  }
}

// It is still there.
void worker_pools::checked(net::channel& of_server) {
  auto [of, server] = take_out(of_server);
  server->checked = clock::now();
  of->idle.insert(of->idle.begin(), std::move(server));
  of->pool->idle.fetch_add(1);
  if (of->pool->queue.waiting() != 0) serve(*of);
}

// Parameters that a reload of the server changes, and the answer to the pool's Sync (`checked` is taken back
// when it came). False: anything else.
bool worker_pools::read_idle(pooled_server& server, std::span<const std::byte> bytes, bool is_checked) {
  server.unread.insert(server.unread.end(), bytes.begin(), bytes.end());
  std::span<const std::byte> rest = server.unread;
  while (!rest.empty()) {
    const auto peek = protocol::peek_frame(rest, 0, longest_idle_message);
    if (peek.status == protocol::frame_status::need_more) break;
    if (peek.status != protocol::frame_status::ready) return false;
    const std::size_t total = peek.header.total_size();
    if (rest.size() < total) break;
    switch (peek.header.type) {
      case 'S': {
        protocol::reader in(rest.first(total).subspan(protocol::frame_header_size));
        const std::string_view name = in.cstring();
        const std::string_view value = in.cstring();
        if (in.failed()) return false;
        server.parameters = with_value(server.parameters, name, value);
        break;
      }
      case 'Z':
        if (!is_checked || total != protocol::frame_header_size + 1 ||
            static_cast<char>(rest[total - 1]) != 'I')
          return false;
        server.checked = {};
        break;
      case 'N':
        break;
      default:
        return false;
    }
    rest = rest.subspan(total);
  }
  server.unread = protocol::byte_buffer(rest.begin(), rest.end());
  return true;
}

void worker_pools::on_ended(net::channel& from, boost::system::error_code) {
  lose(from);
}

void worker_pools::on_closing(net::channel& from) {
  lose(from);
}

}  // namespace tidegate::pool
