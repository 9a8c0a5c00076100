#include "proxy/session/concurrent_index.hpp"

#include "policies/sql/encoding.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/concurrent_build.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::string_view inserted = " CONCURRENTLY";

// CREATE INDEX CONCURRENTLY can corrupt indexes on 14.0 to 14.3 (release notes of 14.4).
bool corrupts(int server_version) {
  return server_version >= 140000 && server_version < 140004;
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
  if (splice_at_ < 0 || !comes_back()) return otherwise;
  if (builds_ && corrupts(of_.facts_.snapshot.server_version)) return otherwise;
  return answer::yes;
}

// What was parsed is the text that the client sent, character by character.
bool concurrent_index::comes_back() const {
  return of_.parsed_text_.empty() ||
         sql::from_utf8(of_.parsed_text_, of_.reading_.client_encoding) == of_.text_;
}

boost::asio::awaitable<void> concurrent_index::run() {
  of_.action_ = audit::action_taken::rewritten;
  // A Parse and Bind of the same batch have opened an implicit transaction, in which CONCURRENTLY is refused.
  if (session_.state().pipeline().unsynced() && !co_await server_.synchronise()) co_return;
  const bool converted = !of_.parsed_text_.empty();
  std::string text = converted ? of_.parsed_text_ : of_.text_;
  text.insert(static_cast<std::size_t>(splice_at_), inserted);
  if (converted) text = sql::from_utf8(text, of_.reading_.client_encoding).value_or(of_.text_);
  session_.send_to_client(notice(
      said(std::string(statement_.tag) + " is carried out with CONCURRENTLY, so that " +
               (statement_.as<sql::create_index>() != nullptr ? "writes go on" : "reads and writes go on"),
           "It takes longer and waits for transactions that are older than it.")));
  concurrent_build work(session_, server_, of_.vouching_, {table_oid_, name_to_make(), builds_},
                        of_.names_.session.lock_timeout_ms);
  auto built = co_await work.run(std::move(text));
  if (!built) co_return;
  if (built->error.empty()) co_return of_.answer_succeeded(*built);
  const bool utf8 = converted || of_.reading_.client_encoding == "UTF8";
  built->error = with_position_moved(
      built->error, character_position(converted ? of_.parsed_text_ : of_.text_, splice_at_, utf8),
      static_cast<int>(inserted.size()));
  of_.answer_failed(*built);
}

// Of the index that the statement makes; empty: the server chooses it, or there are several.
std::string concurrent_index::name_to_make() const {
  const auto* create = statement_.as<sql::create_index>();
  return create != nullptr ? create->name : std::string();
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
  const std::string token = co_await of.vouch();
  if (of.session_.ended()) co_return;
  std::vector<own_statement> before, after;
  if (previous != 0) {
    before.push_back({set_session_lock_timeout("0")});
    after.push_back({set_session_lock_timeout(std::to_string(previous) + "ms")});
  }
  if (!token.empty()) {
    before.push_back(set_vouch(token, vouch_lasts::session));
    after.push_back(forget_vouch());
  }
  if (!before.empty()) {
    const auto set = co_await of.server_.run(std::move(before), dialogue_end::sync);
    if (!set) co_return;
  }
  if (previous != 0) {
    of.session_.send_to_client(notice(
        said("lock_timeout is off for this statement: it would leave an invalid index when it fires")));
  }
  const auto ran = co_await of.server_.run_unit(of.statement_unit(), clock::time_point::max());
  if (!ran) co_return;
  if (!after.empty()) co_await of.server_.run(std::move(after), dialogue_end::sync);
  if (of.session_.ended()) co_return;
  if (ran->error.empty())
    of.answer_succeeded(*ran);
  else
    of.answer_failed(*ran);
}

}  // namespace tidegate::session
