#include "proxy/control/control_plane.hpp"

#include "proxy/control/control_pool.hpp"
#include "proxy/net/random_bytes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::control {

namespace asio = boost::asio;

namespace {

using executor = asio::io_context::executor_type;
// Holds the control thread alive while a caller's work is on its way.
using held_executor = std::decay_t<decltype(asio::require(std::declval<executor>(),
                                                          asio::execution::outstanding_work.tracked))>;

sql_error stopping() {
  return {std::string(failure::shutdown), "the gateway is stopping"};
}

// Of this run of the gateway, among all that share a database.
std::string random_name() {
  std::array<std::byte, 8> bytes{};
  net::random_bytes(bytes);
  return bytea(bytes).substr(2);
}

}  // namespace

class control_plane::impl : public std::enable_shared_from_this<control_plane::impl> {
 public:
  impl(control_plane_limits limits, control_plane_hooks hooks)
      : limits_(limits), hooks_(std::move(hooks)), context_(1), reaper_(context_) {}

  void start() {
    asio::co_spawn(context_, close_what_is_idle(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
    }
    asio::post(context_, [this] {
      reaper_.cancel();
      for (auto& [target, channel] : channels_) channel->stop();
      channels_.clear();
      for (auto& [target, pool] : pools_) pool->stop();
      pools_.clear();
    });
    thread_.join();
  }

  executor control_thread() { return context_.get_executor(); }

  // None after stop(). Thread-safe.
  std::optional<held_executor> enter() {
    const std::lock_guard lock(mutex_);
    if (stopped_) return std::nullopt;
    return asio::require(context_.get_executor(), asio::execution::outstanding_work.tracked);
  }

  // The following run on the control thread. `held` keeps it alive until they end.
  asio::awaitable<std::vector<outcome<query_result>>> run(held_executor held, control_target target,
                                                          std::vector<command> commands) {
    static_cast<void>(held);
    const auto pool = find_pool(target);
    if (!pool) co_return std::vector<outcome<query_result>>(commands.size(), no_room());
    co_return co_await pool->run(std::move(commands));
  }

  asio::awaitable<facts> read_facts(held_executor held, control_target target, policies::fact_request request,
                                    resolved_names names) {
    static_cast<void>(held);
    const auto began = std::chrono::steady_clock::now();
    const std::string database = target.database;
    const auto pool = find_pool(target);
    no_room_querier none{no_room()};
    querier& source = pool ? static_cast<querier&>(*pool) : none;
    facts read = co_await control::read_facts(source, request, names);
    if (hooks_.on_facts_read) hooks_.on_facts_read(database, std::chrono::steady_clock::now() - began);
    co_return read;
  }

  void share_gates(std::vector<gate_sharing> databases) {
    asio::post(context_, [this, databases = std::move(databases)]() mutable {
      if (is_stopped()) return;
      std::map<control_target, std::shared_ptr<gate_channel>> kept;
      for (gate_sharing& each : databases) {
        auto& channel = kept[each.target];
        if (auto known = channels_.extract(each.target); !known.empty()) {
          channel = std::move(known.mapped());
        } else if (!channel) {
          channel =
              std::make_shared<gate_channel>(context_.get_executor(), each.target, gateway_, hooks_.gate);
          channel->start();
        }
        channel->serves(std::move(each.databases));
      }
      for (auto& [target, channel] : channels_) channel->stop();
      channels_ = std::move(kept);
    });
  }

  asio::awaitable<std::string> close_elsewhere(held_executor held, control_target target,
                                               std::vector<std::string> names,
                                               std::chrono::milliseconds hold) {
    static_cast<void>(held);
    const auto channel = channels_.find(target);
    if (channel == channels_.end()) co_return std::string();
    const auto by = find_pool(target);
    if (!by) co_return std::string();
    const auto through = channel->second;
    co_return co_await through->close(*by, std::move(names), hold);
  }

  asio::awaitable<void> open_elsewhere(held_executor held, control_target target, std::string id) {
    static_cast<void>(held);
    const auto channel = channels_.find(target);
    if (channel == channels_.end()) co_return;
    const auto by = find_pool(target);
    if (!by) co_return;
    const auto through = channel->second;
    co_await through->open(*by, std::move(id));
  }

  asio::awaitable<std::vector<control_pool_state>> state(held_executor held) {
    static_cast<void>(held);
    std::vector<control_pool_state> states;
    for (const auto& [target, pool] : pools_) states.push_back(pool->state());
    co_return states;
  }

 private:
  struct no_room_querier final : querier {
    explicit no_room_querier(sql_error why) : reason(std::move(why)) {}
    asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) override {
      co_return std::vector<outcome<query_result>>(commands.size(), reason);
    }
    sql_error reason;
  };

  sql_error no_room() {
    if (is_stopped()) return stopping();
    return {std::string(failure::overloaded), "control connections to too many databases are in use"};
  }

  bool is_stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  // None when there are too many and all are busy, or after stop().
  std::shared_ptr<control_pool> find_pool(const control_target& target) {
    if (const auto found = pools_.find(target); found != pools_.end()) return found->second;
    if (is_stopped()) return nullptr;
    if (pools_.size() >= limits_.databases) {
      auto oldest = pools_.end();
      for (auto it = pools_.begin(); it != pools_.end(); ++it)
        if (!it->second->is_busy() &&
            (oldest == pools_.end() || it->second->last_used() < oldest->second->last_used()))
          oldest = it;
      if (oldest == pools_.end()) return nullptr;
      oldest->second->close_idle(control_pool::clock::time_point::max());
      pools_.erase(oldest);
    }
    const auto pool = std::make_shared<control_pool>(context_.get_executor(), target, limits_, hooks_);
    pools_.emplace(target, pool);
    return pool;
  }

  asio::awaitable<void> close_what_is_idle() {
    while (!is_stopped()) {
      reaper_.expires_after(limits_.idle_after / 4);
      const auto [error] = co_await reaper_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
      const auto unused_since = control_pool::clock::now() - limits_.idle_after;
      for (auto& [target, pool] : pools_) pool->close_idle(unused_since);
      std::erase_if(pools_, [&](const auto& entry) {
        return entry.second->is_unused() && entry.second->last_used() <= unused_since;
      });
    }
  }

  const control_plane_limits limits_;
  const control_plane_hooks hooks_;
  asio::io_context context_;
  asio::steady_timer reaper_;
  std::map<control_target, std::shared_ptr<control_pool>> pools_;     // control thread only
  std::map<control_target, std::shared_ptr<gate_channel>> channels_;  // control thread only
  const std::string gateway_ = random_name();
  std::mutex mutex_;
  bool stopped_ = false;  // under mutex_
  std::thread thread_;
};

namespace {

class plane_querier final : public querier {
 public:
  plane_querier(control_plane& plane, control_target target) : plane_(plane), target_(std::move(target)) {}
  asio::awaitable<std::vector<outcome<query_result>>> run(std::vector<command> commands) override {
    return plane_.run(target_, std::move(commands));
  }

 private:
  control_plane& plane_;
  control_target target_;
};

}  // namespace

control_plane::control_plane(control_plane_limits limits, control_plane_hooks hooks)
    : impl_(std::make_shared<impl>(limits, std::move(hooks))) {
  impl_->start();
}

control_plane::~control_plane() {
  stop();
}

void control_plane::stop() {
  impl_->stop();
}

asio::awaitable<std::vector<outcome<query_result>>> control_plane::run(control_target target,
                                                                       std::vector<command> commands) {
  std::optional<held_executor> held = impl_->enter();
  if (!held) co_return std::vector<outcome<query_result>>(commands.size(), stopping());
  const executor there = impl_->control_thread();
  co_return co_await asio::co_spawn(
      there, impl_->run(*std::exchange(held, {}), std::move(target), std::move(commands)),
      asio::use_awaitable);
}

asio::awaitable<outcome<query_result>> control_plane::query(control_target target, std::string sql,
                                                            std::vector<text_cell> parameters) {
  std::vector<command> commands;
  commands.push_back({std::move(sql), std::move(parameters), false});
  auto outcomes = co_await run(std::move(target), std::move(commands));
  co_return std::move(outcomes.front());
}

asio::awaitable<facts> control_plane::read_facts(control_target target, policies::fact_request request,
                                                 resolved_names names) {
  std::optional<held_executor> held = impl_->enter();
  if (!held) {
    facts none;
    none.snapshot.available = true;
    none.lacked = stopping().message;
    co_return none;
  }
  const executor there = impl_->control_thread();
  co_return co_await asio::co_spawn(
      there,
      impl_->read_facts(*std::exchange(held, {}), std::move(target), std::move(request), std::move(names)),
      asio::use_awaitable);
}

std::unique_ptr<querier> control_plane::querier_for(control_target target) {
  return std::make_unique<plane_querier>(*this, std::move(target));
}

void control_plane::share_gates(std::vector<gate_sharing> databases) {
  if (impl_->enter()) impl_->share_gates(std::move(databases));
}

asio::awaitable<held_elsewhere> control_plane::hold_elsewhere(control_target target,
                                                              std::vector<std::string> names,
                                                              std::chrono::milliseconds hold) {
  std::optional<held_executor> held = impl_->enter();
  if (!held) co_return held_elsewhere();
  const executor there = impl_->control_thread();
  std::string id = co_await asio::co_spawn(
      there, impl_->close_elsewhere(*std::exchange(held, {}), target, std::move(names), hold),
      asio::use_awaitable);
  if (id.empty()) co_return held_elsewhere();
  co_return held_elsewhere(*this, std::move(target), std::move(id));
}

held_elsewhere::held_elsewhere(control_plane& plane, control_target target, std::string id)
    : plane_(&plane), target_(std::move(target)), id_(std::move(id)) {}

held_elsewhere::held_elsewhere(held_elsewhere&& other) noexcept
    : plane_(std::exchange(other.plane_, nullptr)),
      target_(std::move(other.target_)),
      id_(std::move(other.id_)) {}

held_elsewhere& held_elsewhere::operator=(held_elsewhere&& other) noexcept {
  if (this != &other) {
    open();
    plane_ = std::exchange(other.plane_, nullptr);
    target_ = std::move(other.target_);
    id_ = std::move(other.id_);
  }
  return *this;
}

// Nobody waits for it: should it fail, the others' own deadlines open their gates.
void held_elsewhere::open() {
  control_plane* const plane = std::exchange(plane_, nullptr);
  if (plane == nullptr) return;
  const auto& impl = plane->impl_;
  std::optional<held_executor> held = impl->enter();
  if (!held) return;
  asio::co_spawn(impl->control_thread(),
                 impl->open_elsewhere(*std::exchange(held, {}), std::move(target_), std::move(id_)),
                 asio::detached);
}

asio::awaitable<std::vector<control_pool_state>> control_plane::state() {
  std::optional<held_executor> held = impl_->enter();
  if (!held) co_return std::vector<control_pool_state>{};
  const executor there = impl_->control_thread();
  co_return co_await asio::co_spawn(there, impl_->state(*std::exchange(held, {})), asio::use_awaitable);
}

}  // namespace tidegate::control
