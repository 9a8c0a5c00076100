#include "proxy/background_runner.hpp"

#include "protocol/sqlstate.hpp"
#include "proxy/admin/ddl_board.hpp"
#include "proxy/log/log.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/server_request.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

namespace tidegate {
namespace {

namespace asio = boost::asio;
namespace sqlstate = protocol::sqlstate;
using control::background_state;
using clock = std::chrono::steady_clock;

constexpr unsigned most_attempts = 8;
constexpr std::chrono::seconds first_rest{5};
constexpr std::chrono::seconds longest_rest{300};
// A statement has no deadline: its waits are bounded where it waits, its run is not.
constexpr std::chrono::hours no_deadline{24 * 365};
constexpr std::uint32_t longest_message = 1 << 20;

admin::ddl_row board_row(const session::background_statement& what, std::string step) {
  return {.client = 0,
          .database = what.who.database,
          .user = what.who.user,
          .application = what.application,
          .backend_pid = 0,
          .statement = what.shown,
          .step = std::move(step),
          .attempts = 0,
          .background = what.id,
          .since = clock::now(),
          .blockers = {}};
}

control::background_news stopped(std::string_view state, std::string message) {
  return {.state = background_state::stopped, .sqlstate = std::string(state), .message = std::move(message)};
}

// No verdict on the statement: the same one may go through later.
bool may_go_better(std::string_view state) {
  return state == sqlstate::lock_not_available || state.starts_with("08") || state.starts_with("57P") ||
         state == sqlstate::too_many_connections;
}

}  // namespace

bool background_runner::take(session::background_statement&& what) {
  if (draining_ || waiting_.size() >= most_waiting) return false;
  log::info<"background_statement_queued">({{"database", what.who.database}, {"background", what.id}});
  waiting_.push_back(std::move(what));
  begin_next();
  return true;
}

void background_runner::begin_next() {
  while (begun_ < most_at_once && !waiting_.empty()) {
    ++begun_;
    asio::co_spawn(in_.on.context, carry_out(std::move(waiting_.front())), asio::detached);
    waiting_.pop_front();
  }
}

void background_runner::drain() {
  draining_ = true;
  for (const session::background_statement& each : std::exchange(waiting_, {}))
    tell_of_background(in_.on, each.control, each.id,
                       stopped(sqlstate::admin_shutdown, "the gateway was shut down before it began"));
  for (const auto& weak : running_) {
    if (const auto session = weak.lock()) session->note_cancel_request();
  }
}

asio::awaitable<void> background_runner::carry_out(session::background_statement what) {
  const admission::place place = in_.places.enter_by_right();
  ending end;
  for (unsigned attempts = 1;; ++attempts) {
    end = co_await attempt(what);
    if (!end.again || draining_ || attempts == most_attempts) break;
    log::info<"background_statement_waits">(
        {{"database", what.who.database}, {"background", what.id}, {"sqlstate", end.news.sqlstate}});
    end.news.state = background_state::queued;
    control::background_news waits = end.news;
    co_await session::write_background_news(in_.on, what.control, what.id, std::move(waits));
    const admin::ddl_board::place shown(in_.on.shared.admin.ddl,
                                        board_row(what, "rests before it tries again"));
    const bool rested = co_await rest(attempts);
    if (!rested) {
      end.news.state = background_state::stopped;
      break;
    }
  }
  if (end.news.state == background_state::done)
    log::info<"background_statement_done">({{"database", what.who.database}, {"background", what.id}});
  else
    log::warning<"background_statement_failed">({{"database", what.who.database},
                                                 {"background", what.id},
                                                 {"state", control::word(end.news.state)},
                                                 {"sqlstate", end.news.sqlstate}});
  co_await session::write_background_news(in_.on, what.control, what.id, std::move(end.news));
  --begun_;
  if (!draining_) begin_next();
}

// False: the gateway drains.
asio::awaitable<bool> background_runner::rest(unsigned attempts) {
  const auto pause = std::min<clock::duration>(first_rest * (1u << (attempts - 1)), longest_rest);
  const auto until = clock::now() + pause;
  asio::steady_timer timer(in_.on.context);
  while (clock::now() < until && !draining_) {
    timer.expires_after(std::chrono::milliseconds(200));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return !draining_;
}

asio::awaitable<background_runner::ending> background_runner::attempt(
    const session::background_statement& what) {
  if (draining_)
    co_return ending{stopped(sqlstate::admin_shutdown, "the gateway was shut down before it began")};
  std::optional<admin::ddl_board::place> shown(std::in_place, in_.on.shared.admin.ddl,
                                               board_row(what, "logs in"));
  const auto runtime = in_.runtime.load();
  net::deadline until(in_.on.context.get_executor(), runtime->settings->timeouts.server_connect);
  pool::login_request request = what.login;
  const std::string schema = session::schema_of(request);
  auto server = co_await pool::log_in(std::move(request), *in_.on.slow_work, until);
  if (!server) {
    const pool::login_failure& failure = server.error();
    const bool again = failure.why == pool::login_failure::reason::unreachable ||
                       failure.why == pool::login_failure::reason::timed_out ||
                       may_go_better(failure.sqlstate);
    co_return ending{stopped(failure.sqlstate, failure.message), again};
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    co_return ending{stopped(sqlstate::insufficient_resources, std::generic_category().message(errno)), true};
  net::message_stream client(net::stream(in_.on.context.get_executor(), ends[0]));

  session::session_start start;
  start.client.descriptor = ends[1];
  start.client.peer.is_unix = true;
  const std::int32_t backend_pid = server->backend_pid;
  start.transaction_status = server->transaction_status;
  start.server_unread = std::move(server->leftover);
  start.server = pool::make_server(std::move(*server), what.login.endpoint);
  start.server_parameters = start.server->parameters;
  start.greeting = session::ready_for_query(start.transaction_status);
  start.who = what.who;
  start.control = what.control;
  start.metrics = what.metrics;
  start.schema = in_.on.shared.schemas.of(schema);
  const auto session = in_.begin(std::move(start));
  std::erase_if(running_, [](const auto& each) { return each.expired(); });
  running_.push_back(session);
  shown.reset();
  if (draining_) session->note_cancel_request();
  ending end = co_await converse(what, client, backend_pid);
  // KILL: an operator wants it to end.
  if (session->ended() && session->why_ended() == session::end_reason::admin) end.again = false;
  co_return end;
}

// What a client would say and hear.
asio::awaitable<background_runner::ending> background_runner::converse(
    const session::background_statement& what, net::message_stream& client, std::int32_t backend_pid) {
  control::background_news begun{.state = background_state::running, .backend_pid = backend_pid};
  co_await session::write_background_news(in_.on, what.control, what.id, std::move(begun));

  net::deadline until(in_.on.context.get_executor(), no_deadline);
  ending end{stopped(sqlstate::connection_failure, "the server connection was lost"), true};
  bool asked = false;
  std::optional<control::background_news> error;
  for (;;) {
    const auto got = co_await client.read(longest_message, until);
    if (!got) break;
    if (got->type == 'E') {
      error = stopped(session::field_of(got->whole, 'C'), std::string(session::field_of(got->whole, 'M')));
      if (session::is_fatal(got->whole)) break;
    }
    if (got->type != 'Z') continue;
    if (asked) {
      if (!error) end = {{.state = background_state::done}};
      client.transport().close();
      break;
    }
    asked = true;
    const auto unsent = co_await client.write(session::query_message(what.text), until);
    if (unsent) break;
  }
  if (error) {
    end.again = may_go_better(error->sqlstate);
    end.news = std::move(*error);
    // A cancel is the operator's, or the gateway's own as it drains; everything else is the statement's.
    const bool stands = end.again || end.news.sqlstate == sqlstate::query_canceled ||
                        end.news.sqlstate == sqlstate::object_not_in_prerequisite_state;
    end.news.state = stands ? background_state::stopped : background_state::failed;
  }
  end.news.backend_pid = backend_pid;
  co_return end;
}

}  // namespace tidegate
