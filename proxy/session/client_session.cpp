#include "proxy/session/client_session.hpp"

#include "protocol/copy.hpp"
#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/setting_bounds.hpp"
#include "proxy/session/statement_renewal.hpp"

#include <atomic>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;

core::session_limits limits_of(const config::settings& settings, bool replication) {
  const policies::policy& policy = settings.policies.policy;
  return {.query_buffer = settings.limits.query_buffer,
          .forward_long = policy.mode != policies::policy_mode::enforce ||
                          policy.on_unparsable == policies::verdict::allow,
          .replication = replication};
}

constexpr std::size_t read_while_waiting = 64 * 1024;

// A longer batch is none that the thread's buffer need be ready for.
constexpr std::size_t longest_batch_kept = 256 * 1024;

// Ids of SHOW CLIENTS, unique in the process.
std::atomic<std::uint64_t> next_id{1};

double seconds(clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

client_session::client_session(environment& on, session_start start)
    : id_(next_id.fetch_add(1, std::memory_order_relaxed)),
      on_(on),
      who_(std::move(start.who)),
      core_(limits_of(*on.shared.settings.load(), who_.replication)),
      client_(*this, std::move(start.client)),
      server_(std::move(start.server)),
      lent_(std::move(start.lent)),
      cancel_(std::move(start.cancel)),
      control_(std::move(start.control)),
      metrics_(start.metrics),
      admission_(std::move(start.admission)),
      greeting_(std::move(start.greeting)),
      client_pending_(std::move(start.client_unread)),
      server_pending_(std::move(start.server_unread)),
      signal_(on.context),
      again_(std::move(start.again)) {
  if (start.server_parameters) {
    for (const auto& parameter : *start.server_parameters)
      core_.server_parameter(parameter.name, parameter.value);
  }
  core_.pipeline().set_status(static_cast<core::transaction_status>(start.transaction_status));
  core_.watch(on_.shared.new_relations, who_.database, who_.user);
  if (start.schema && !who_.replication) core_.follow(std::move(start.schema));
  const auto settings = on_.shared.settings.load();
  examine_ = settings->policies.policy.mode != policies::policy_mode::off;
  bounds_ = has_setting_bounds(*settings);
  if (lent_) join_pool();
}

client_session::~client_session() = default;

void client_session::start() {
  last_activity_ = on_.poller.now();
  metrics_.user->clients[counted_as_].add();
  on_.poller.add(client_);
  if (server_) {
    server_->channel.set_handler(*this);
    on_.poller.add(server_->channel);
  }
  if (cancel_) {
    cancel_.on_request([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->note_cancel_request();
    });
  }
  send_to_client(std::exchange(greeting_, {}));
  if (bounds_ && server_ && !who_.replication) return bound_startup_settings();
  relay_early_bytes();
}

// What the startup packet, the role or the database has set is brought within the policy's bounds before the
// first statement.
void client_session::bound_startup_settings() {
  run_dialogue([this](server_dialogue& server) -> boost::asio::awaitable<void> {
    const auto settings = on_.shared.settings.load();
    co_await keep_settings_in_bounds(*this, server, *settings, dialogue_end::sync);
  });
}

// Statements of the gateway's own between those of the client, which waits meanwhile.
void client_session::relay_early_bytes() {
  // Bytes that came with the logins are the first to be relayed.
  if (auto early = std::exchange(server_pending_, {}); !early.empty()) from_server(early);
  if (auto early = std::exchange(client_pending_, {}); !early.empty() && !ended_) from_client(early);
}

// ---- events ----

void client_session::on_received(net::channel& from, std::span<const std::byte> bytes) {
  if (ended_) return;
  if (&from == &client_)
    from_client(bytes);
  else
    from_server(bytes);
}

void client_session::on_drained(net::channel& to) {
  if (ended_) return;
  if (&to == &client_ && server_read_ended_) return server_has_ended();
  wake();
  update_reading();
}

void client_session::on_ended(net::channel& from, boost::system::error_code why) {
  if (ended_) return;
  if (&from == &client_) {
    client_gone_ = why.failed() || phase_ == phase::draining || phase_ == phase::dialogue;
    client_read_ended_ = true;
    wake();
    if (why || phase_ == phase::waiting) return end(end_reason::client_gone);
    // A COPY that nobody goes on with would never end.
    if (phase_ != phase::relaying && core_.pipeline().copying_in()) return end(end_reason::client_gone);
    client_has_ended();
    return;
  }
  server_read_ended_ = true;
  wake();
  if (why || client_.unsent() == 0) server_has_ended();  // else the client gets the server's last words first
}

// The client sends no more. As if it had closed its end to the server itself: what was sent is still carried
// out and answered.
void client_session::client_has_ended() {
  if (server_read_ended_) return end(end_reason::terminated);
  if (phase_ != phase::relaying) return;  // decided when the statement at hand is done
  if (!client_pending_.empty() && !waits_for_answers_)
    return end(end_reason::client_gone);  // in the middle of a message
  if (!server_) return end(end_reason::terminated);
  if (client_pending_.empty()) on_.poller.shut_down_sending(server_->channel);
}

void client_session::server_has_ended() {
  if (client_read_ended_ || core_.pipeline().terminated()) return end(end_reason::terminated);
  if (phase_ == phase::dialogue && tell_last_word()) return end(end_reason::server_gone);
  const bool rests =
      phase_ == phase::relaying && core_.pipeline().at_rest() && !core_.inside_server_message();
  const bool expected = server_said_why_ || rests;
  end(end_reason::server_gone, expected ? std::string_view{} : protocol::sqlstate::connection_failure,
      "the server closed the connection unexpectedly");
}

// A FATAL that no interception has read.
bool client_session::tell_last_word() {
  core::byte_view unread = core::byte_view(inbox_).subspan(inbox_begin_);
  for (;;) {
    const auto peek = protocol::peek_frame(unread, 0, static_cast<std::uint32_t>(inbox_bound));
    if (peek.status != protocol::frame_status::ready || unread.size() < peek.header.total_size())
      return false;
    const core::byte_view message = unread.first(peek.header.total_size());
    if (is_fatal(message)) {
      send_to_client(message);
      return true;
    }
    unread = unread.subspan(message.size());
  }
}

void client_session::on_closing(net::channel& from) {
  if (ended_ || &from != &client_) return;
  if (phase_ == phase::waiting) return end(end_reason::client_gone);
  if (phase_ == phase::draining || phase_ == phase::dialogue) {
    client_gone_ = true;
    wake();
  }
}

// ---- client -> server ----

void client_session::from_client(core::byte_view bytes) {
  metrics_.user->bytes_received[metrics::side::client].add(bytes.size());
  last_activity_ = on_.poller.now();
  if (wants_client_) wake();
  if (phase_ != phase::relaying && phase_ != phase::answering) {
    client_pending_.insert(client_pending_.end(), bytes.begin(), bytes.end());
    return update_reading();
  }
  if (client_pending_.empty()) {
    const core::byte_view rest = relay_client(bytes);
    if (!rest.empty() && !ended_) client_pending_.assign(rest.begin(), rest.end());
  } else {
    client_pending_.insert(client_pending_.end(), bytes.begin(), bytes.end());
    if (client_pending_.size() >= client_needed_) relay_pending();
  }
  if (lent_ && core_.pipeline().at_rest()) give_back_if_free();
  update_reading();
}

// What waited is relayed as far as it goes now.
void client_session::relay_pending() {
  auto pending = std::exchange(client_pending_, {});
  const std::size_t left = relay_client(pending).size();
  if (left == 0 || ended_) return;
  pending.erase(pending.begin(), pending.end() - static_cast<std::ptrdiff_t>(left));
  client_pending_ = std::move(pending);
}

// Sends on what can be sent on now; returns what has to wait.
core::byte_view client_session::relay_client(core::byte_view bytes) {
  client_needed_ = 0;
  if (!server_) {
    bytes = bytes.subspan(core_.drop_some(bytes.size()));  // of a message that was cancelled
    if (!borrow(bytes)) return bytes;
  }
  return relay_to_server(bytes);
}

core::byte_view client_session::relay_to_server(core::byte_view bytes) {
  while (!bytes.empty() && !ended_) {
    if (phase_ != phase::relaying && phase_ != phase::answering) return bytes;
    const bool only_copy = phase_ == phase::answering;
    const bool gate_closed = !only_copy && on_.shared.gate.closed();
    const core::client_scan scan =
        only_copy ? core_.scan_copy(bytes) : core_.scan_client(bytes, examine_, gate_closed);
    if (scan.forward != 0 || !on_.batch.empty()) {
      send_batch(bytes.subspan(scan.written, scan.forward - scan.written));
      bytes = bytes.subspan(scan.forward);
      if (!query_running_ && !core_.pipeline().answered()) {
        query_running_ = true;
        query_since_ = on_.poller.now();
        count_as(metrics::client_state::active);
      }
    }
    switch (scan.step) {
      case core::client_step::done:
        return {};
      case core::client_step::need_more:
        client_needed_ = scan.length;
        return bytes;
      case core::client_step::discard:
        bytes = bytes.subspan(scan.length);
        break;
      case core::client_step::intercept:
        intercept(bytes.first(scan.length), {}, scan.length);
        bytes = bytes.subspan(scan.length);
        break;
      case core::client_step::refuse:
        intercept(bytes.first(scan.length), scan.why, scan.length);
        bytes = bytes.subspan(scan.length);
        break;
      case core::client_step::too_long:
        core_.discard_message(scan.length);
        intercept(bytes.first(protocol::frame_header_size), core::refusal_reason::statement_too_long,
                  scan.length);
        break;
      case core::client_step::renew:
        renew();
        return bytes;
      case core::client_step::wait:
        waits_for_answers_ = true;
        return bytes;
      case core::client_step::hold:
        if (only_copy) {
          fail_copy(static_cast<char>(bytes.front()));
          return bytes;
        }
        hold(bytes);
        if (phase_ == phase::held) return bytes;
        break;
      case core::client_step::flush:
        break;
      case core::client_step::unknown_type:
        end(end_reason::protocol, protocol::sqlstate::protocol_violation,
            "invalid frontend message type " +
                std::to_string(static_cast<int>(static_cast<unsigned char>(bytes.front()))));
        return {};
      case core::client_step::malformed:
        end(end_reason::protocol, protocol::sqlstate::protocol_violation, "invalid frontend message");
        return {};
    }
  }
  return bytes;
}

// What the scan has written, and what goes behind it as it is, to the server.
void client_session::send_batch(core::byte_view behind) {
  auto& batch = on_.batch;
  if (batch.empty()) return send_to_server(behind);
  if (behind.size() <= core::most_copied) {
    batch.insert(batch.end(), behind.begin(), behind.end());
    behind = {};
  }
  send_to_server(batch);
  batch.clear();
  if (batch.capacity() > longest_batch_kept) batch = {};
  if (!behind.empty()) send_to_server(behind);
}

void client_session::count_as(metrics::client_state state) {
  metrics_.user->move_client(counted_as_, state);
  counted_as_ = state;
}

void client_session::intercept(core::byte_view message, std::optional<core::refusal_reason> why,
                               std::size_t length) {
  awaiting_type_ = static_cast<char>(message[0]);
  if (core_.pipeline().copying_in()) fail_copy(awaiting_type_);
  phase_ = phase::draining;
  cancel_requested_ = false;  // an earlier one was for what the server ran
  count_as(metrics::client_state::waiting);
  auto run = std::make_shared<interception>(*this, protocol::byte_buffer(message.begin(), message.end()), why,
                                            length);
  spawn([run]() -> boost::asio::awaitable<void> { co_await run->run(); });
}

// Runs while the client's direction is parked, and lets it go on.
void client_session::spawn(std::function<boost::asio::awaitable<void>()> what) {
  boost::asio::co_spawn(
      on_.context,
      [self = shared_from_this(), what = std::move(what)]() -> boost::asio::awaitable<void> {
        co_await what();
      },
      [self = shared_from_this()](std::exception_ptr error) {
        if (error)
          self->end(end_reason::protocol, protocol::sqlstate::internal_error,
                    "the gateway failed to handle a statement");
        else
          self->interception_done();
      });
}

// The Bind that is left waits until its statement was looked at.
void client_session::renew() {
  awaiting_type_ = 'B';
  phase_ = phase::draining;
  spawn([this]() -> boost::asio::awaitable<void> {
    // Not inside the poller's call that found the statement.
    co_await boost::asio::post(on_.context, boost::asio::use_awaitable);
    co_await renew_statement(*this);
  });
}

void client_session::interception_done() {
  if (ended_) return;
  phase_ = phase::relaying;
  cancel_requested_ = false;
  last_activity_ = on_.poller.now();
  if (inbox_begin_ != inbox_.size()) {
    const auto rest = std::exchange(inbox_, {});
    from_server(core::byte_view(rest).subspan(std::exchange(inbox_begin_, 0)));
  } else {
    inbox_ = {};
    inbox_begin_ = 0;
  }
  if (ended_) return;
  if (lent_) note_reported();
  run_owed();
  relay_pending();
  if (ended_) return;
  if (client_read_ended_) client_has_ended();
  if (lent_) give_back_if_free();
  if (end_at_rest_ && !ended_) end_if_at_rest();
  update_reading();
}

void client_session::put_back(core::byte_view message) {
  client_pending_.insert(client_pending_.begin(), message.begin(), message.end());
  client_needed_ = 0;
}

void client_session::hold(core::byte_view message) {
  const char type = static_cast<char>(message[0]);
  std::optional<std::string_view> text;
  if (type == 'Q' || type == 'P') {
    if (const auto found = core::text_of(message); found.valid) text = found.text;
  }
  const auto until = on_.shared.gate.must_hold(who_.database, text, core_.reading().lexical, clock::now());
  if (!until) {
    hold_is_over();
    return core_.pass_gate_once();
  }
  phase_ = phase::held;
  if (!held_since_) {
    held_since_ = query_since_ = clock::now();
    held_by_pause_ = *until == clock::time_point::max();
    if (!held_by_pause_) metrics_.database->gate_held_statements.add();
  }
  on_.session_held(*this);
}

// Within the COPY of an intercepted statement comes something else. The server would end the COPY by an
// error, as it does for CopyFail; what came waits for that.
void client_session::fail_copy(char type) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(type);
  const std::string reason = std::string("unexpected message type 0x") + digits[byte >> 4] +
                             digits[byte & 15] + " during COPY from stdin";
  protocol::encode(w, protocol::copy_fail{reason});
  core_.pipeline().sent('f');
  send_to_server(out);
}

void client_session::hold_is_over() {
  if (!held_since_) return;
  const auto since = *std::exchange(held_since_, {});
  // A stall is what a schema change costs; a pause was asked for.
  if (!std::exchange(held_by_pause_, false))
    metrics_.database->gate_stall_seconds.observe(seconds(clock::now() - since));
}

void client_session::gate_opened() {
  if (ended_ || phase_ != phase::held) return;
  phase_ = phase::relaying;
  relay_pending();
  if (phase_ != phase::held) hold_is_over();
  if (client_read_ended_) client_has_ended();
  update_reading();
}

// ---- server -> client ----

void client_session::from_server(core::byte_view bytes) {
  metrics_.user->bytes_received[metrics::side::server].add(bytes.size());
  if (phase_ == phase::dialogue) {
    inbox_.insert(inbox_.end(), bytes.begin(), bytes.end());
    wake();
    return update_reading();
  }
  protocol::byte_buffer joined;
  if (!server_pending_.empty()) {
    joined = std::exchange(server_pending_, {});
    joined.insert(joined.end(), bytes.begin(), bytes.end());
    bytes = joined;
  }
  const bool stop = phase_ == phase::draining || phase_ == phase::answering;
  core::server_scan scan;
  for (;;) {
    scan = core_.scan_server(bytes, stop);
    // Before the client hears of it: whoever it tells may use what has changed at once, on another
    // connection.
    if (memory_ && memory_->schema_changes && scan.ready &&
        core_.pipeline().status() == core::transaction_status::idle) {
      memory_->schema_changes = false;
      core_.schema()->changed();
    }
    if (scan.forward != 0) {
      metrics_.user->bytes_sent[metrics::side::client].add(scan.forward);
      on_.poller.send(client_, bytes.first(scan.forward));
    }
    server_answered(scan);
    bytes = bytes.subspan(scan.forward);
    if (scan.step != core::server_step::swallow) break;
    bytes = bytes.subspan(protocol::frame_header_size);
  }
  switch (scan.step) {
    case core::server_step::done:
    case core::server_step::swallow:
      break;
    case core::server_step::need_more:
      server_pending_.assign(bytes.begin(), bytes.end());
      break;
    case core::server_step::answered:
      phase_ = phase::dialogue;
      inbox_.assign(bytes.begin(), bytes.end());
      inbox_begin_ = 0;
      wake();
      break;
    case core::server_step::malformed:
      return end(end_reason::protocol, protocol::sqlstate::protocol_violation,
                 "the server sent an invalid message");
  }
  // What was asked before turns out to be a COPY, and what waits here does not belong to it.
  if (phase_ == phase::draining && core_.pipeline().copying_in()) fail_copy(awaiting_type_);
  if (phase_ == phase::answering && core_.pipeline().copying_in())
    relay_pending();  // COPY data that came ahead of the server's go
  if (waits_for_answers_ && phase_ == phase::relaying) {
    waits_for_answers_ = false;
    relay_pending();
    if (client_read_ended_ && !ended_) client_has_ended();
  }
  if (owes()) run_owed();
  if (lent_ && core_.pipeline().at_rest()) give_back_if_free();
  update_reading();
}

void client_session::server_answered(const core::server_scan& scan) {
  errors_seen_ += scan.errors;
  server_said_why_ = server_said_why_ || scan.fatal;
  for (std::uint32_t i = 0; i < scan.errors; ++i) {
    const std::string_view sqlstate =
        i < scan.sqlstates.size() ? std::string_view(scan.sqlstates[i].data(), 5) : std::string_view{};
    on_.counters.errors.add(sqlstate);
    // A function has dropped statements that the gateway has put there.
    if (lent_ && server_ && sqlstate == protocol::sqlstate::invalid_sql_statement_name)
      server_->close_needed = true;
    if (sqlstate == protocol::sqlstate::lock_not_available) metrics_.database->lock_timeouts.add();
  }
  if (scan.plan_stale && core_.is_news()) core_.schema()->noticed(clock::now());
  if (!scan.ready) return;
  const auto now = on_.poller.now();
  last_activity_ = now;
  metrics_.user->queries.add(scan.queries_ready);
  metrics_.database->query_seconds.observe(seconds(now - query_since_));
  const auto status = core_.pipeline().status();
  if (status == core::transaction_status::idle) {
    ++transactions_;
    metrics_.user->transactions.add();
    if (in_transaction_since_)
      metrics_.database->transaction_seconds.observe(
          seconds(now - *std::exchange(in_transaction_since_, {})));
  } else if (!in_transaction_since_) {
    in_transaction_since_ = query_since_;
  }
  query_running_ = !core_.pipeline().answered();
  if (query_running_)
    query_since_ = now;
  else
    count_as(status == core::transaction_status::idle ? metrics::client_state::idle
                                                      : metrics::client_state::in_transaction);
  if (end_at_rest_) end_if_at_rest();
}

void client_session::update_reading() {
  if (ended_) return;
  // Who waits for a server is read a little further: most send nothing, and need not be told to the kernel
  // twice.
  const bool waits = phase_ == phase::waiting && client_pending_.size() < read_while_waiting;
  const bool relays = phase_ == phase::relaying || phase_ == phase::answering || wants_client_ || waits;
  const bool server_takes = !server_ || server_->channel.unsent() == 0;
  const bool read_client = relays && server_takes && !waits_for_answers_ && !core_.pipeline_full();
  if (read_client != client_.reading()) on_.poller.set_reading(client_, read_client);
  if (!server_) return;
  const bool read_server = client_.unsent() == 0 && inbox_.size() - inbox_begin_ < inbox_bound;
  if (read_server != server_->channel.reading()) on_.poller.set_reading(server_->channel, read_server);
}

// ---- the end ----

void client_session::end(end_reason why, std::string_view sqlstate, std::string_view message) {
  if (ended_) return;
  ended_ = true;
  why_ended_ = why;
  if (!core_.inside_server_message()) {
    if (!sqlstate.empty()) on_.poller.send(client_, fatal(sqlstate, message));
    // For the last words to arrive, and for TLS to be told that this is the end. Otherwise closing does.
    if (!sqlstate.empty() || client_.stream().ssl) on_.poller.shut_down_sending(client_);
  }
  metrics_.user->clients[counted_as_].sub();
  metrics_.database->client_disconnections[why].add();
  if (cancel_) cancel_.clear_target();
  if (memory_ && !memory_->trail.empty()) {
    // What was open is rolled back; what was on its way nobody can tell.
    const core::pipeline& pipeline = core_.pipeline();
    const bool open = pipeline.status() != core::transaction_status::idle || pipeline.unsynced();
    auto changes = memory_->trail.abandon();
    if (!pipeline.answered() || !open) tell_ledger(std::move(changes));
    // Of those that were deferred the ones that nobody can tell of stay so in tidegate.background.
    if (memory_->deferred && pipeline.answered() && open) settle_deferred(std::string(), std::nullopt);
  }
  wake();
  // Not now: the poller may be inside a call of ours.
  boost::asio::post(on_.context, [self = shared_from_this()] {
    self->on_.poller.remove(self->client_);
    if (self->lent_)
      self->leave_pool();
    else
      self->on_.poller.remove(self->server_->channel);
    self->cancel_ = {};
    self->admission_.reset();
    self->on_.session_ended(*self);
  });
}

void client_session::end_when_at_rest(end_reason why, std::string_view message) {
  end_at_rest_ = true;
  end_at_rest_why_ = why;
  end_at_rest_message_ = message;
  end_if_at_rest();
}

void client_session::end_if_at_rest() {
  // Nothing of what PAUSE holds has been begun.
  const bool rests =
      (phase_ == phase::relaying && client_pending_.empty()) || (phase_ == phase::held && held_by_pause_);
  if (rests && core_.pipeline().at_rest() && !core_.inside_client_message())
    end(end_at_rest_why_, protocol::sqlstate::admin_shutdown, end_at_rest_message_);
}

void client_session::tick(clock::time_point now) {
  if (ended_) return;
  const auto settings = on_.shared.settings.load();
  const auto& timeouts = settings->timeouts;
  examine_ = settings->policies.policy.mode != policies::policy_mode::off;
  bounds_ = has_setting_bounds(*settings);
  const auto passed = [](clock::duration since, std::chrono::milliseconds limit) {
    return limit.count() != 0 && since >= limit;
  };
  if (phase_ == phase::dialogue) return;  // an interception has budgets of its own
  if (phase_ == phase::draining && !query_running_) return;
  if (phase_ == phase::waiting) {
    if (passed(now - lent_->waits_since, timeouts.query_wait))
      return end(end_reason::timeout, protocol::sqlstate::query_canceled,
                 "query timeout: no server connection of the pool became free within timeouts.query_wait");
    return tell_of_waiting(now);
  }
  if (phase_ == phase::held) {
    if (held_by_pause_ && passed(now - *held_since_, timeouts.query_wait))
      return end(end_reason::timeout, protocol::sqlstate::query_canceled,
                 "query timeout: the database is paused, and timeouts.query_wait was reached");
    return gate_opened();  // past every other deadline by now: the watchdog
  }
  if (query_running_) {
    if (passed(now - query_since_, timeouts.query)) {
      // The server would go on: it looks at its connection only when it has something to say.
      auto cancelled = [self = shared_from_this()]() -> boost::asio::awaitable<void> {
        co_await self->cancel_server();
      };
      boost::asio::co_spawn(on_.context, std::move(cancelled), boost::asio::detached);
      end(end_reason::timeout, protocol::sqlstate::query_canceled,
          "query timeout: the gateway's limit timeouts.query was reached");
    }
    return;
  }
  if (lent_ && lent_->pinned.has(pin::unknown)) {
    lent_->asked_at.reset();
    give_back_if_free();
    if (ended_ || phase_ != phase::relaying) return;
  }
  const bool in_transaction = core_.pipeline().status() != core::transaction_status::idle;
  const auto idle = now - last_activity_;
  if (in_transaction) {
    if (memory_ && memory_->transaction == transactions_ && memory_->holding_since &&
        passed(idle, settings->locks.transaction_hold_budget)) {
      on_.counters.transactions_ended[metrics::ended_reason::hold_budget].add();
      return end(end_reason::hold_budget, protocol::sqlstate::idle_in_transaction_session_timeout,
                 "transaction ended: it was idle while it held the locks of a schema change "
                 "(locks.transaction_hold_budget)");
    }
    if (passed(idle, timeouts.idle_in_transaction)) {
      on_.counters.transactions_ended[metrics::ended_reason::idle_in_transaction].add();
      end(end_reason::timeout, protocol::sqlstate::idle_in_transaction_session_timeout,
          "terminating connection: idle in transaction (the gateway's timeouts.idle_in_transaction)");
    }
  } else if (lent_ && lent_->pinned.any() && passed(idle, lent_->part.pool->current()->bounds.pinned_idle)) {
    end(end_reason::timeout, protocol::sqlstate::idle_session_timeout,
        "terminating connection: it keeps a server connection of the pool and was idle "
        "(pool.pinned_idle_timeout)");
  } else if (!who_.replication && passed(idle, timeouts.client_idle)) {
    end(end_reason::timeout, protocol::sqlstate::idle_session_timeout,
        "terminating connection: idle (the gateway's timeouts.client_idle)");
  }
}

void client_session::note_cancel_request() {
  boost::asio::post(on_.context, [self = shared_from_this()] {
    self->cancel_requested_ = true;
    self->wake();
    if (self->phase_ == phase::waiting) self->cancel_waiting();
  });
}

}  // namespace tidegate::session
