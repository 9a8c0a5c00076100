#include "proxy/session/concurrent_build.hpp"

#include "policies/sql/encoding.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;

// Of a build that met another one on the same table.
constexpr int most_attempts = 30;

}  // namespace

concurrent_build::concurrent_build(client_session& session, server_dialogue& server, vouching& vouches,
                                   subject what, std::int64_t lock_timeout_ms)
    : session_(session),
      server_(server),
      vouches_(vouches),
      what_(std::move(what)),
      lock_timeout_ms_(lock_timeout_ms) {}

boost::asio::awaitable<std::optional<unit_answer>> concurrent_build::run(std::string text) {
  const bool watched = what_.builds && what_.table_oid != 0;
  std::vector<control::index_state> before;
  if (watched) {
    before = co_await invalid_indexes();
    co_await remove_leftovers(before, false);
    if (session_.ended()) co_return std::nullopt;
  }
  std::optional<unit_answer> built;
  for (int attempt = 1;; ++attempt) {
    co_await prepare(text);
    if (session_.ended()) co_return std::nullopt;
    built = co_await build(text);
    if (!built) co_return std::nullopt;
    if (watched && !built->error.empty()) co_await remove_leftovers(before, true);
    if (session_.ended()) co_return std::nullopt;
    // Two builds on one table: the second waits for its lock with a snapshot that the first waits for. Plain
    // builds would not have met.
    if (built->sqlstate != protocol::sqlstate::deadlock_detected || attempt == most_attempts) break;
    session_.send_to_client(
        notice(said("another index of the table is being built or dropped: trying again")));
    const bool rested = co_await rest();
    if (!rested) break;
  }
  if (watched && built->error.empty()) co_await check_result(before, *built);
  if (session_.ended()) co_return std::nullopt;
  co_await put_settings_back();
  if (session_.ended()) co_return std::nullopt;
  co_return built;
}

// A build that says it succeeded and left an invalid index behind would be worse than an error. Where the
// statement does not tell the index's name, an invalid one may be somebody else's, who failed just now.
boost::asio::awaitable<void> concurrent_build::check_result(const std::vector<control::index_state>& before,
                                                            unit_answer& built) {
  for (const auto& index : co_await invalid_indexes()) {
    const bool known =
        std::any_of(before.begin(), before.end(), [&](const auto& b) { return b.oid == index.oid; });
    if (known || index.being_built || (!what_.index.empty() && index.name != what_.index)) continue;
    const std::string quoted = sql::quote_name({.schema = index.schema, .name = index.name});
    report invalid{.sqlstate = std::string(protocol::sqlstate::object_not_in_prerequisite_state),
                   .message = "index " + quoted + " was built but is not valid",
                   .hint = "Drop it with DROP INDEX CONCURRENTLY and try again."};
    if (what_.index.empty()) {
      invalid.message = "index " + quoted + " of the same table is not valid";
      invalid.hint = "If nobody is building it: DROP INDEX CONCURRENTLY " + quoted + ";";
      session_.send_to_client(warning(invalid));
    } else {
      built.error = error(invalid);
      built.sqlstate = invalid.sqlstate;
    }
  }
}

// Between two attempts: of random length, so that two that met do not meet again.
boost::asio::awaitable<bool> concurrent_build::rest() {
  std::uniform_int_distribution<int> milliseconds(200, 1000);
  const bool rested = co_await session_.pause(std::chrono::milliseconds(milliseconds(session_.on().random)));
  co_return rested;
}

boost::asio::awaitable<void> concurrent_build::prepare(const std::string& text) {
  const std::string token = co_await vouches_.token_for(text, control::vouch_covers::all);
  if (session_.ended()) co_return;
  vouched_ = vouched_ || !token.empty();
  std::vector<own_statement> settings(1, own_statement{set_session_lock_timeout("0")});
  if (!token.empty()) settings.push_back(set_vouch(token, vouch_lasts::session));
  co_await server_.run(std::move(settings), dialogue_end::sync);
}

boost::asio::awaitable<void> concurrent_build::put_settings_back() {
  const std::string previous = std::to_string(lock_timeout_ms_) + "ms";
  std::vector<own_statement> settings(1, own_statement{set_session_lock_timeout(previous)});
  if (vouched_) settings.push_back(forget_vouch());
  co_await server_.run(std::move(settings), dialogue_end::sync);
}

// Runs the statement as a simple query and tells how far it is, every other second.
boost::asio::awaitable<std::optional<unit_answer>> concurrent_build::build(const std::string& text) {
  auto building = std::make_shared<bool>(true);
  if (what_.builds && session_.control()) {
    boost::asio::co_spawn(
        session_.on().context,
        [session = session_.shared_from_this(), building]() -> boost::asio::awaitable<void> {
          boost::asio::steady_timer timer(session->on().context);
          const auto source = session->on().shared.control.querier_for(*session->control());
          std::string last;
          while (*building && !session->ended()) {
            timer.expires_after(std::chrono::seconds(2));
            co_await timer.async_wait(boost::asio::use_awaitable);
            if (!*building || session->ended()) break;
            const auto seen = co_await control::read_index_build_progress(*source, session->backend_pid());
            if (!*building || session->ended() || !seen || !*seen) continue;
            const control::index_build_progress& now = **seen;
            std::string message = now.phase;
            if (now.done)
              message += " " + std::to_string(static_cast<int>(std::floor(*now.done * 100))) + " %";
            if (now.waits_for_pid != 0)
              message += " (waiting for pid " + std::to_string(now.waits_for_pid) + ")";
            if (std::exchange(last, message) != message) session->send_to_client(notice(said(message)));
          }
        },
        boost::asio::detached);
  }
  auto message = query_message(text);
  auto built = co_await server_.run_unit(std::move(message), clock::time_point::max());
  *building = false;
  co_return built;
}

boost::asio::awaitable<std::vector<control::index_state>> concurrent_build::invalid_indexes() {
  if (!session_.control()) co_return std::vector<control::index_state>{};
  const auto source = session_.on().shared.control.querier_for(*session_.control());
  auto found = co_await control::invalid_indexes(*source, what_.table_oid);
  co_return found ? std::move(*found) : std::vector<control::index_state>{};
}

// Before: an invalid index of the name that is about to be made, from an earlier attempt. After a failure:
// whatever is new.
boost::asio::awaitable<void> concurrent_build::remove_leftovers(
    const std::vector<control::index_state>& before, bool after_failure) {
  if (!after_failure) {
    if (what_.index.empty()) co_return;
    for (const auto& index : before) {
      if (index.name == what_.index && !index.being_built)
        co_await drop(index, "it was left invalid by an earlier build");
    }
    co_return;
  }
  for (const auto& index : co_await invalid_indexes()) {
    const bool known =
        std::any_of(before.begin(), before.end(), [&](const auto& b) { return b.oid == index.oid; });
    const bool ours = what_.index.empty() || index.name == what_.index;
    if (!known && ours && !index.being_built) co_await drop(index, "the build failed and left it invalid");
  }
}

// It meets other builds on the table as a build does, and is tried again as one.
boost::asio::awaitable<bool> concurrent_build::drop(const control::index_state& index, std::string_view why) {
  const std::string name = sql::quote_name({.schema = index.schema, .name = index.name});
  for (int attempt = 1;; ++attempt) {
    const std::string drop = "DROP INDEX CONCURRENTLY IF EXISTS " + name;
    const std::string text = sql::from_utf8(drop, session_.state().reading().client_encoding).value_or(drop);
    co_await prepare(text);
    if (session_.ended()) co_return false;
    auto message = query_message(text);
    const auto dropped = co_await server_.run_unit(std::move(message), clock::time_point::max());
    if (!dropped) co_return false;
    if (dropped->error.empty()) {
      session_.send_to_client(notice(said("index " + name + " was dropped: " + std::string(why))));
      co_return true;
    }
    if (dropped->sqlstate == protocol::sqlstate::deadlock_detected && attempt < most_attempts) {
      const bool rested = co_await rest();
      if (rested) continue;
      co_return false;
    }
    session_.send_to_client(warning({.sqlstate = dropped->sqlstate,
                                     .message = "index " + name + " is invalid and could not be dropped",
                                     .hint = "DROP INDEX CONCURRENTLY " + name + ";"}));
    co_return false;
  }
}

}  // namespace tidegate::session
