// Transaction mode: how a client gets a server and gives it back.

#include "protocol/frame.hpp"
#include "protocol/session_info.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/log/log.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/session_state.hpp"
#include "proxy/session/setting_bounds.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;

// Who waits so long is told once why nothing comes.
constexpr auto told_after = std::chrono::seconds(5);
// A cancel request that is under way may still reach the server: looked at again after this.
constexpr auto cancel_pause = std::chrono::milliseconds(5);

}  // namespace

void client_session::join_pool() {
  const auto terms = lent_->part.pool->current();
  // The list lives as long as the terms that it is part of.
  std::shared_ptr<const std::vector<std::string>> functions(terms, &terms->bounds.session_functions);
  core_.share(on_.shared.statements, std::move(functions), terms->bounds.statements, on_.batch);
  core_.sharing()->reported.clear();
}

// After the end; what is still lent is in the middle of something, and is not used again.
void client_session::leave_pool() {
  if (lent_->waiting) lent_->pools.forget(lent_->part, lent_->waiting);
  lent_->waiting.reset();
  if (server_) {
    count_pins({});
    lent_->pools.discard(lent_->part, std::move(server_));
  }
  lent_->pools.leave(lent_->part);
}

// A server for what is at the front of `bytes`. False: it has to wait, or the session has ended.
bool client_session::borrow(core::byte_view bytes) {
  if (ended_ || phase_ != phase::relaying || bytes.empty()) return false;
  const auto peek = protocol::peek_frame(bytes, 0, protocol::max_frontend_length);
  if (peek.status == protocol::frame_status::need_more) return false;
  if (peek.status != protocol::frame_status::ready) {
    end(end_reason::protocol, protocol::sqlstate::protocol_violation, "invalid frontend message");
    return false;
  }
  const char type = peek.header.type;
  if (type == 'X') {
    end(end_reason::terminated);
    return false;
  }
  // Nobody holds a server by half a statement.
  const std::size_t total = peek.header.total_size();
  const bool held_whole = (type == 'Q' || type == 'P') && total <= core_.limits().query_buffer;
  if (held_whole && bytes.size() < total) {
    client_needed_ = total;
    return false;
  }
  if (on_.shared.gate.closed() && !core_.passes_gate() &&
      (type == 'Q' || type == 'P' || type == 'B' || type == 'F')) {
    hold(bytes.first(std::min(bytes.size(), total)));
    if (phase_ == phase::held) return false;
  }
  if (auto server = lent_->pools.take(lent_->part, lent_->share)) {
    attach(std::move(server));
    return !ended_ && phase_ == phase::relaying;
  }
  phase_ = phase::waiting;
  cancel_requested_ = false;
  lent_->waits_since = clock::now();
  lent_->told_of_waiting = false;
  count_as(metrics::client_state::waiting);
  lent_->waiting = lent_->pools.wait(lent_->part, lent_->share,
                                     std::static_pointer_cast<pool::server_taker>(shared_from_this()));
  return false;
}

void client_session::server_ready(pool::pooled_server_ptr server) {
  if (ended_ || phase_ != phase::waiting) return lent_->pools.give_back(lent_->part, std::move(server));
  lent_->waiting.reset();
  phase_ = phase::relaying;
  metrics_.database->pool_wait_seconds.observe(
      std::chrono::duration<double>(clock::now() - lent_->waits_since).count());
  attach(std::move(server));
  if (phase_ == phase::relaying) relay_pending();
  if (ended_) return;
  give_back_if_free();
  update_reading();
}

void client_session::server_failed(const pool::login_failure& why) {
  if (ended_ || phase_ != phase::waiting) return;
  lent_->waiting.reset();
  send_to_client(pool::to_error_response(why));
  end(end_reason::server_gone);
}

void client_session::attach(pool::pooled_server_ptr server) {
  server_ = std::move(server);
  server_->channel.set_handler(*this);
  server_read_ended_ = server_said_why_ = false;
  server_pending_ =
      std::exchange(server_->unread, {});  // the beginning of a message that came while it was idle
  core::sharing& sharing = *core_.sharing();
  sharing.on_server = &server_->statements;
  sharing.on_server->renew(core_.schema()->now());
  // What it has left on another server since is newer.
  if (server_->last_client != id_ || lent_->last_server != server_->id) sharing.unnamed_is_ours = false;
  sharing.another_came_between = server_->last_drew != id_ || lent_->drew_on != server_->id;
  sharing.drew = sharing.touched = sharing.names_put = sharing.names_stand = false;
  server_->last_client = id_;
  lent_->last_server = server_->id;
  lent_->seen_retired = lent_->pools.retired();
  if (cancel_) cancel_.set_target(server_->cancel);
  if (!pool::unify(server_->settings, lent_->settings) || (bounds_ && !server_->bounded) ||
      has_values_of_another())
    return prepare_server();
  tell_parameters();
}

// What nextval() returned to somebody else, in a pool whose clients ask for such values later.
bool client_session::has_values_of_another() const {
  return lent_->part.pool->reads_sequences.load(std::memory_order_relaxed) && server_->last_drew != 0 &&
         core_.sharing()->another_came_between;
}

// The server gets the client's settings first. One round trip, and only where two clients' differ.
void client_session::prepare_server() {
  run_dialogue([this](server_dialogue& server) -> boost::asio::awaitable<void> {
    if (!pool::same_values(server_->settings, lent_->settings)) {
      const bool restored = co_await restore_settings(*this, server);
      if (!restored) co_return;
    }
    if (bounds_ && !server_->bounded) {
      const auto settings = on_.shared.settings.load();
      co_await keep_settings_in_bounds(*this, server, *settings, dialogue_end::sync);
      if (ended_) co_return;
      server_->bounded = true;
    }
    if (has_values_of_another()) {
      const bool forgotten = co_await forget_sequence_values(*this, server);
      if (!forgotten) co_return;
    }
    for (const auto& [name, value] : std::exchange(core_.sharing()->reported, {}))
      server_->parameters = pool::with_value(server_->parameters, name, value);
    tell_parameters();
  });
}

// What this server reports otherwise than the one before did.
void client_session::tell_parameters() {
  if (!pool::unify(lent_->known, server_->parameters)) {
    protocol::byte_buffer out;
    protocol::writer w(out);
    for (const pool::parameter& each : *server_->parameters) {
      const bool told =
          lent_->known && std::find(lent_->known->begin(), lent_->known->end(), each) != lent_->known->end();
      if (told) continue;
      encode(w, protocol::parameter_status{each.name, each.value});
      core_.server_parameter(each.name, each.value);
    }
    core_.sharing()->reported.clear();
    lent_->known = server_->parameters;
    send_to_client(out);
  }
  lent_->parameters_before = server_->parameters;
}

// ParameterStatus that the client has been sent.
void client_session::note_reported() {
  if (!server_) return;
  auto& reported = core_.sharing()->reported;
  if (reported.empty()) return;
  for (const auto& [name, value] : std::exchange(reported, {}))
    server_->parameters = pool::with_value(server_->parameters, name, value);
  lent_->known = server_->parameters;
}

// Between transactions the server is another client's to use, unless something of this one is left on it.
void client_session::give_back_if_free() {
  const core::pipeline& pipeline = core_.pipeline();
  if (!server_ || ended_ || phase_ != phase::relaying || !pipeline.at_rest() || pipeline.terminated() ||
      pipeline.desynchronised() || core_.inside_client_message() || core_.inside_server_message() ||
      !server_pending_.empty() || owes() || waits_for_answers_ || server_read_ended_ || client_read_ended_ ||
      server_->channel.unsent() != 0 || server_->channel.broken())
    return;
  // The server could not be asked: not again before the client's next transaction, or the next tick.
  if (lent_->pinned.has(pin::unknown) && lent_->asked_at == transactions_) return;
  note_reported();
  core::sharing& sharing = *core_.sharing();
  lent_->tell_names(sharing);  // a failed transaction had none put there
  const bool parameters_changed = !pool::same_values(server_->parameters, lent_->parameters_before);
  const sql::session_effects effects = std::exchange(sharing.effects, {});
  if (effects.has(sql::session_effect::sequence_value))
    lent_->part.pool->reads_sequences.store(true, std::memory_order_relaxed);
  const bool must_look = effects.lasting() || parameters_changed || lent_->pinned.has(pin::unknown) ||
                         !lent_->names_there.empty() ||
                         (lent_->pinned.any() && effects.has(sql::session_effect::releases)) ||
                         (sharing.unfollowed && !lent_->pinned.has(pin::unmovable));
  if (must_look) return look_at_server(effects);
  if (lent_->pinned.any()) return;
  if (cancel_) {
    cancel_.clear_target();
    if (cancel_.in_flight() != 0) {  // it must not meet the next client's statement
      cancel_.set_target(server_->cancel);
      return wait_for_cancel();
    }
  }
  if (lent_->seen_retired != lent_->pools.retired()) server_->close_needed = true;
  if (sharing.drew) {
    server_->last_drew = id_;
    lent_->drew_on = server_->id;
  }
  sharing.touched = false;
  sharing.on_server = nullptr;
  lent_->pools.give_back(lent_->part, std::move(server_));
}

void client_session::wait_for_cancel() {
  if (std::exchange(waits_for_cancel_, true)) return;
  boost::asio::co_spawn(
      on_.context,
      [self = shared_from_this()]() -> boost::asio::awaitable<void> {
        boost::asio::steady_timer timer(self->on_.context, cancel_pause);
        co_await timer.async_wait(boost::asio::use_awaitable);
        self->waits_for_cancel_ = false;
        self->give_back_if_free();
      },
      boost::asio::detached);
}

void client_session::look_at_server(sql::session_effects effects) {
  run_dialogue([this, effects](server_dialogue& server) -> boost::asio::awaitable<void> {
    co_await look_at_state(*this, server, effects);
    if (ended_) co_return;
    lent_->asked_at = transactions_;
    note_reported();
    lent_->parameters_before = server_->parameters;
    const pins before = lent_->counted;
    count_pins(lent_->pinned);
    check_pins(before);
  });
}

void client_session::count_pins(pins now) {
  const pins before = std::exchange(lent_->counted, now);
  for (std::size_t i = 0; i < pin_count; ++i) {
    const auto reason = static_cast<pin>(i);
    const bool was = before.has(reason);
    const bool is = now.has(reason);
    if (!was && is) {
      metrics_.database->pinned_clients[reason].add();
      metrics_.database->pins[reason].add();
    } else if (was && !is) {
      metrics_.database->pinned_clients[reason].sub();
    }
  }
  if (!before.any() && now.any()) lent_->part.pool->pinned.fetch_add(1);
  if (before.any() && !now.any()) lent_->part.pool->pinned.fetch_sub(1);
}

// pool.max_pinned: who comes too much has to go, or the pool would be nobody's any more.
void client_session::check_pins(pins before) {
  const unsigned most = lent_->part.pool->current()->bounds.max_pinned;
  if (most == 0 || before.any() || !lent_->pinned.any() || lent_->part.pool->pinned.load() <= most) return;
  end(end_reason::timeout, protocol::sqlstate::too_many_connections,
      "too many clients of the pool keep their server connection (pool.max_pinned): by temporary tables, "
      "LISTEN, cursors WITH HOLD, advisory locks or PREPARE of SQL");
}

// A cancel request for a client that has no server yet: its statement has not begun.
void client_session::cancel_waiting() {
  if (!lent_->waiting || !lent_->pools.forget(lent_->part, lent_->waiting)) return;  // a server is on its way
  lent_->waiting.reset();
  phase_ = phase::relaying;
  count_as(metrics::client_state::idle);
  const char type = static_cast<char>(client_pending_.front());
  const std::size_t total =
      protocol::peek_frame(client_pending_, 0, protocol::max_frontend_length).header.total_size();
  send_to_client(error({.sqlstate = std::string(protocol::sqlstate::query_canceled),
                        .message = "canceling statement due to user request",
                        .detail = "It was waiting for a server connection of the pool."}));
  if (type == 'Q' || type == 'F') {
    const std::size_t there = std::min(total, client_pending_.size());
    client_pending_.erase(client_pending_.begin(),
                          client_pending_.begin() + static_cast<std::ptrdiff_t>(there));
    if (there < total) core_.discard_message(total - there);
    send_to_client(ready_for_query('I'));
  } else {
    core_.discard_until_sync();
  }
  relay_pending();
  if (end_at_rest_ && !ended_) end_if_at_rest();
  update_reading();
}

void client_session::tell_of_waiting(clock::time_point now) {
  if (lent_->told_of_waiting || now - lent_->waits_since < told_after) return;
  lent_->told_of_waiting = true;
  const auto& pool = *lent_->part.pool;
  const auto& queue = pool.queue;
  std::string detail = std::to_string(pool.open()) + " are open, " +
                       std::to_string(queue.waiting() + queue.passed_over()) + " clients wait, " +
                       std::to_string(pool.pinned.load()) + " keep theirs between transactions.";
  if (queue.limit() != 0 && lent_->share->held() >= queue.limit())
    detail += " Clients of your application_name have " + std::to_string(lent_->share->held()) +
              " of them, as many as they may (pool.max_per_application).";
  send_to_client(notice({.sqlstate = std::string(protocol::sqlstate::successful_completion),
                         .message = "waiting for a server connection of the pool",
                         .detail = std::move(detail),
                         .hint = "SHOW POOLS and SHOW PINS in the gateway's admin console tell more."}));
}

void client_session::renew_server() {
  if (server_) server_->close_needed = true;
}

std::optional<own_login> client_session::login_again() const {
  if (again_) return *again_;
  if (lent_) return own_login{lent_->part.pool->current()->request};
  return std::nullopt;
}

}  // namespace tidegate::session
