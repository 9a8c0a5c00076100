#include "proxy/session/concurrent_index.hpp"

#include "policies/sql/quote.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
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
constexpr std::string_view inserted = " CONCURRENTLY";

std::string set_session_lock_timeout(const std::string& value) {
  return "SELECT pg_catalog.set_config('lock_timeout', " + sql::quote_literal(value) + ", false)";
}

// CREATE INDEX CONCURRENTLY can corrupt indexes on 14.0 to 14.3 (release notes of 14.4).
bool corrupts(int server_version) {
  return server_version >= 140000 && server_version < 140004;
}

report said(std::string message, std::string hint = {}) {
  return {.sqlstate = std::string(protocol::sqlstate::successful_completion),
          .message = std::move(message),
          .hint = std::move(hint)};
}

}  // namespace

concurrent_index::concurrent_index(interception& of, const sql::statement& statement,
                                   const policies::decision& decision)
    : of_(of), session_(of.session_), server_(of.server_), statement_(statement), decision_(decision) {
  const auto& catalog = of_.facts_.snapshot;
  const auto table_of = [&](const sql::qualified_name& name) {
    auto found = catalog.relation(name);
    if (found && !found->index_table.empty()) found = catalog.relation_by_full_name(found->index_table);
    if (!found) return;
    table_oid_ = found->oid;
    table_ = found->full_name();
  };
  if (const auto* create = statement.as<sql::create_index>()) {
    splice_at_ = create->after_index;
    table_of(create->relation);
  } else if (const auto* gone = statement.as<sql::drop>()) {
    builds_ = false;
    if (gone->objects.size() == 1 && !gone->cascade) splice_at_ = gone->after_kind;
    if (!gone->objects.empty()) table_of(gone->objects.front());
  } else if (const auto* again = statement.as<sql::reindex>()) {
    if (again->target != sql::reindex_target::system) splice_at_ = again->after_target;
    if (again->target == sql::reindex_target::index || again->target == sql::reindex_target::table)
      table_of(again->relation);
  }
}

concurrent_index::answer concurrent_index::possible() const {
  const answer otherwise = builds_ ? answer::no_refuse : answer::no_guard;
  const core::pipeline& pipeline = session_.state().pipeline();
  if (of_.parsed_.statements.size() != 1 || pipeline.status() != core::transaction_status::idle ||
      pipeline.executed_unsynced())
    return otherwise;
  if (&statement_ != &of_.parsed_.statements.front()) return otherwise;  // behind an EXECUTE
  if (splice_at_ < 0 || !of_.parsed_text_.empty()) return otherwise;
  if (builds_ && corrupts(of_.facts_.snapshot.server_version)) return otherwise;
  return answer::yes;
}

boost::asio::awaitable<void> concurrent_index::run() {
  of_.action_ = audit::action_taken::rewritten;
  // A Parse and Bind of the same batch have opened an implicit transaction, in which CONCURRENTLY is refused.
  if (session_.state().pipeline().unsynced() && !co_await server_.synchronise()) co_return;
  std::string text = of_.text_;
  text.insert(static_cast<std::size_t>(splice_at_), inserted);
  session_.send_to_client(notice(
      said(std::string(statement_.tag) + " is carried out with CONCURRENTLY, so that " +
               (statement_.as<sql::create_index>() != nullptr ? "writes go on" : "reads and writes go on"),
           "It takes longer and waits for transactions that are older than it.")));
  std::vector<control::index_state> before;
  if (builds_ && table_oid_ != 0) {
    before = co_await invalid_indexes();
    co_await remove_leftovers(before, false);
    if (session_.ended()) co_return;
  }
  const std::string previous = std::to_string(of_.names_.session.lock_timeout_ms) + "ms";
  co_await set_lock_timeout("0");
  std::optional<unit_answer> built;
  for (int attempt = 1;; ++attempt) {
    built = co_await build(text);
    if (!built) co_return;
    if (builds_ && table_oid_ != 0 && !built->error.empty()) co_await remove_leftovers(before, true);
    if (session_.ended()) co_return;
    // Two builds on one table: the second waits for its lock with a snapshot that the first waits for. Plain
    // builds would not have met.
    if (built->sqlstate != protocol::sqlstate::deadlock_detected || attempt == most_attempts) break;
    session_.send_to_client(
        notice(said("another index of the table is being built or dropped: trying again")));
    const bool rested = co_await rest();
    if (!rested) break;
  }
  if (builds_ && table_oid_ != 0 && built->error.empty()) co_await check_result(before, *built);
  if (session_.ended()) co_return;
  co_await set_lock_timeout(previous);
  if (session_.ended()) co_return;
  if (built->error.empty()) co_return of_.answer_succeeded(*built);
  const bool utf8 = of_.reading_.client_encoding == "UTF8";
  built->error = with_position_moved(built->error, character_position(of_.text_, splice_at_, utf8),
                                     static_cast<int>(inserted.size()));
  of_.answer_failed(*built);
}

// A build that says it succeeded and left an invalid index behind would be worse than an error. Where the
// statement does not tell the index's name, an invalid one may be somebody else's, who failed just now.
boost::asio::awaitable<void> concurrent_index::check_result(const std::vector<control::index_state>& before,
                                                            unit_answer& built) {
  const std::string name = name_to_make();
  for (const auto& index : co_await invalid_indexes()) {
    const bool known =
        std::any_of(before.begin(), before.end(), [&](const auto& b) { return b.oid == index.oid; });
    if (known || index.being_built || (!name.empty() && index.name != name)) continue;
    const std::string quoted = sql::quote_name({.schema = index.schema, .name = index.name});
    report invalid{.sqlstate = std::string(protocol::sqlstate::object_not_in_prerequisite_state),
                   .message = "index " + quoted + " was built but is not valid",
                   .hint = "Drop it with DROP INDEX CONCURRENTLY and try again."};
    if (name.empty()) {
      invalid.message = "index " + quoted + " of the same table is not valid";
      invalid.hint = "If nobody is building it: DROP INDEX CONCURRENTLY " + quoted + ";";
      session_.send_to_client(warning(invalid));
    } else {
      built.error = error(invalid);
      built.sqlstate = invalid.sqlstate;
    }
  }
}

// Of the index that the statement makes; empty: the server chooses it, or there are several.
std::string concurrent_index::name_to_make() const {
  const auto* create = statement_.as<sql::create_index>();
  return create != nullptr ? create->name : std::string();
}

// Between two attempts: of random length, so that two that met do not meet again.
boost::asio::awaitable<bool> concurrent_index::rest() {
  std::uniform_int_distribution<int> milliseconds(200, 1000);
  const bool rested = co_await session_.pause(std::chrono::milliseconds(milliseconds(session_.on().random)));
  co_return rested;
}

boost::asio::awaitable<void> concurrent_index::set_lock_timeout(const std::string& value) {
  co_await server_.run_sql(dialogue_end::sync, set_session_lock_timeout(value));
}

// Runs the statement as a simple query and tells how far it is, every other second.
boost::asio::awaitable<std::optional<unit_answer>> concurrent_index::build(const std::string& text) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message('Q');
  w.cstring(text);
  w.end_message();
  auto building = std::make_shared<bool>(true);
  if (builds_ && session_.control()) {
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
  auto built = co_await server_.run_unit(std::move(out), clock::time_point::max());
  *building = false;
  co_return built;
}

boost::asio::awaitable<std::vector<control::index_state>> concurrent_index::invalid_indexes() {
  if (!session_.control()) co_return std::vector<control::index_state>{};
  const auto source = session_.on().shared.control.querier_for(*session_.control());
  auto found = co_await control::invalid_indexes(*source, table_oid_);
  co_return found ? std::move(*found) : std::vector<control::index_state>{};
}

// Before: an invalid index of the name that is about to be made, from an earlier attempt. After a failure:
// whatever is new.
boost::asio::awaitable<void> concurrent_index::remove_leftovers(
    const std::vector<control::index_state>& before, bool after_failure) {
  const std::string name = name_to_make();
  if (!after_failure) {
    if (name.empty()) co_return;
    for (const auto& index : before) {
      if (index.name == name && !index.being_built)
        co_await drop(index, "it was left invalid by an earlier build");
    }
    co_return;
  }
  for (const auto& index : co_await invalid_indexes()) {
    const bool known =
        std::any_of(before.begin(), before.end(), [&](const auto& b) { return b.oid == index.oid; });
    const bool ours = name.empty() || index.name == name;
    if (!known && ours && !index.being_built) co_await drop(index, "the build failed and left it invalid");
  }
}

// It meets other builds on the table as a build does, and is tried again as one.
boost::asio::awaitable<bool> concurrent_index::drop(const control::index_state& index, std::string_view why) {
  const std::string name = sql::quote_name({.schema = index.schema, .name = index.name});
  for (int attempt = 1;; ++attempt) {
    protocol::byte_buffer out;
    protocol::writer w(out);
    w.begin_message('Q');
    w.cstring("DROP INDEX CONCURRENTLY IF EXISTS " + name);
    w.end_message();
    const auto dropped = co_await server_.run_unit(std::move(out), clock::time_point::max());
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

bool concurrent_index::is_concurrent(const sql::parsed& parsed) {
  if (parsed.statements.size() != 1) return false;
  const sql::statement& s = parsed.statements.front();
  if (const auto* create = s.as<sql::create_index>()) return create->concurrently;
  if (const auto* gone = s.as<sql::drop>()) return gone->concurrently;
  if (const auto* again = s.as<sql::reindex>()) return again->concurrently;
  return false;
}

boost::asio::awaitable<void> concurrent_index::run_as_written(interception& of) {
  const core::pipeline& pipeline = of.session_.state().pipeline();
  const bool afresh = co_await of.begin_afresh();
  const bool alone = afresh || (pipeline.status() == core::transaction_status::idle && !pipeline.unsynced());
  if (!alone) co_return co_await of.forward();  // refused by the server, in a transaction
  const std::int64_t previous = of.names_known_ ? of.names_.session.lock_timeout_ms : 0;
  if (previous != 0) {
    const auto set = co_await of.server_.run_sql(dialogue_end::sync, set_session_lock_timeout("0"));
    if (!set) co_return;
    of.session_.send_to_client(notice(
        said("lock_timeout is off for this statement: it would leave an invalid index when it fires")));
  }
  const auto ran = co_await of.server_.run_unit(of.statement_unit(), clock::time_point::max());
  if (!ran) co_return;
  if (previous != 0)
    co_await of.server_.run_sql(dialogue_end::sync,
                                set_session_lock_timeout(std::to_string(previous) + "ms"));
  if (of.session_.ended()) co_return;
  if (ran->error.empty())
    of.answer_succeeded(*ran);
  else
    of.answer_failed(*ran);
}

}  // namespace tidegate::session
