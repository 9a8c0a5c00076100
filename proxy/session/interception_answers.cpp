// Of an interception: how a statement is answered, by the server or in its place.

#include "policies/event_triggers.hpp"
#include "policies/sql/encoding.hpp"
#include "policies/sql/normalise.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace tidegate::session {

report interception::to_report(const policies::refusal& refusal) const {
  report out{.sqlstate = refusal.sqlstate,
             .message = refusal.message,
             .detail = refusal.detail,
             .hint = refusal.hint};
  if (refusal.first != nullptr) {
    if (parsed_text_.empty())
      out.position = character_position(text_, refusal.first->at, reading_.client_encoding == "UTF8");
    out.schema = refusal.first->schema;
    out.table = refusal.first->table;
    out.column = refusal.first->column;
    out.constraint = refusal.first->constraint;
  }
  if (!facts_.lacked.empty() && !names_known_) out.detail += (out.detail.empty() ? "" : "\n") + facts_.lacked;
  std::vector<std::string*> texts{&out.message, &out.detail, &out.hint,      &out.schema,
                                  &out.table,   &out.column, &out.constraint};
  for (std::string* text : texts)
    if (auto converted = sql::from_utf8(*text, server_reading_.client_encoding))
      *text = std::move(*converted);
  return out;
}

boost::asio::awaitable<void> interception::refuse(const policies::decision& decision) {
  const report what = to_report(policies::explain_refusal(decision));
  co_await refuse(what);
}

void interception::show(std::string_view statement) {
  const auto& who = session_.who();
  shown_.emplace(session_.on().shared.admin.ddl,
                 admin::ddl_row{.client = session_.id(),
                                .database = who.database,
                                .user = who.user,
                                .application = session_.application(),
                                .backend_pid = session_.backend_pid(),
                                .statement = sql::normalise(statement, reading_.lexical, 1024),
                                .step = "looks",
                                .attempts = 0,
                                .background = who.background,
                                .since = std::chrono::steady_clock::now(),
                                .blockers = {}});
}

void interception::show_step(std::string_view what, unsigned attempts) {
  if (!shown_) return;
  std::string text = shown_step_;
  if (!text.empty() && !what.empty()) text += ": ";
  text += what;
  shown_->step(std::move(text), attempts);
}

// The client gets an error in place of its statement, and the server is brought to the state that the client
// concludes from it.
boost::asio::awaitable<void> interception::refuse(const report& what) {
  action_ = audit::action_taken::refused;
  outcome_ = audit::outcome::failed;
  sqlstate_ = what.sqlstate;
  core::pipeline& pipeline = session_.state().pipeline();
  const bool in_batch = static_cast<char>(message_[0]) != 'Q';
  session_.on().counters.errors.add(what.sqlstate);
  if (in_batch) {
    // The server fails the batch, rolls back what it did and skips to the client's Sync by itself.
    if (!server_has_failed_ && !co_await server_.fail(dialogue_end::flush)) co_return;
    session_.send_to_client(error(what));
    pipeline.sent('P');
    pipeline.received('E');
    co_return;
  }
  // A Query ends the batch before it, and its failure undoes the batch.
  if (pipeline.status() == core::transaction_status::open || pipeline.unsynced()) {
    if (!co_await server_.fail(dialogue_end::sync)) co_return;
    pipeline.batch_undone();
  }
  session_.send_to_client(error(what));
  session_.send_to_client(ready_for_query(static_cast<char>(pipeline.status())));
}

// No rule saw it: the audit log hears of it here.
boost::asio::awaitable<void> interception::refuse_undecided(const report& what) {
  co_await refuse(what);
  const bool short_enough = text_.size() <= sql::parse_limit_bytes;
  audit::audit_record record = new_record(short_enough ? sql::normalise(text_, reading_.lexical)
                                                       : std::string(sql::command_word(text_)));
  record.verdict = policies::verdict::block;
  session_.on().shared.audit.record(record);
}

// The server's error about a statement of ours is the answer to the client's.
boost::asio::awaitable<void> interception::fail_with(const protocol::byte_buffer& server_error) {
  outcome_ = audit::outcome::failed;
  session_.send_to_client(server_error);
  const bool query = static_cast<char>(message_[0]) == 'Q';
  if (own_end() == dialogue_end::flush) {
    if (!query) {
      session_.state().pipeline().mark_skipping();
      co_return;
    }
    if (!co_await server_.synchronise()) co_return;
    session_.state().pipeline().batch_undone();
  }
  if (query)
    session_.send_to_client(ready_for_query(server_.status()));
  else
    session_.state().discard_until_sync();  // the server has been synchronised by us
}

boost::asio::awaitable<void> interception::forward() {
  const std::string token = co_await vouch();
  if (session_.ended()) co_return;
  if (token.empty()) co_return co_await relay();
  const vouch_lasts how_long = vouch_lasts_for();
  std::vector<own_statement> before(1, set_vouch(token, how_long));
  const auto set = co_await server_.run(std::move(before), own_end());
  if (!set) co_return;
  if (!set->ok()) co_return co_await fail_with(set->error);
  co_await relay();
  if (how_long == vouch_lasts::session) co_await take_vouch_back();
}

boost::asio::awaitable<void> interception::relay() {
  const std::uint64_t errors = session_.errors_seen();
  const bool announced = !is_execute() && changes_schema();
  if (announced) session_.schema_will_change();
  if (!co_await session_.relay_answer(message_)) co_return;
  outcome_ = session_.errors_seen() == errors ? audit::outcome::succeeded : audit::outcome::failed;
  const bool succeeded = outcome_ == audit::outcome::succeeded;
  if (succeeded && changes_schema() && !(announced && session_.state().pipeline().at_rest()))
    session_.schema_changed();
  remember(succeeded);
}

boost::asio::awaitable<bool> interception::begin_afresh() {
  const core::pipeline& pipeline = session_.state().pipeline();
  if (!is_execute() || bind_.empty() || pipeline.executed_unsynced() ||
      pipeline.status() != core::transaction_status::idle)
    co_return false;
  const auto next = co_await session_.peek_client(std::chrono::steady_clock::time_point::max());
  if (!next || *next != 'S') co_return false;
  const bool ended = co_await server_.synchronise();
  co_return ended;
}

protocol::byte_buffer interception::statement_unit() const {
  if (!is_execute()) return message_;
  protocol::byte_buffer out;
  protocol::writer w(out);
  const auto execute =
      protocol::decode_execute(core::byte_view(message_).subspan(protocol::frame_header_size));
  if (execute && !execute->portal.empty())
    protocol::encode(w, protocol::close{protocol::named_object::portal, execute->portal});
  w.raw(bind_);
  w.raw(message_);
  protocol::encode(w, protocol::sync{});
  return out;
}

void interception::answer_succeeded(const unit_answer& answer) {
  outcome_ = audit::outcome::succeeded;
  // Before the client hears of it, and may tell others.
  if (changes_schema()) session_.schema_changed();
  session_.send_to_client(answer.messages);
  if (!is_execute()) session_.send_to_client(ready_for_query(server_.status()));
  remember(true);
}

void interception::answer_failed(const unit_answer& answer) {
  outcome_ = audit::outcome::failed;
  sqlstate_ = answer.sqlstate;
  session_.on().counters.errors.add(answer.sqlstate);
  session_.send_to_client(answer.messages);
  session_.send_to_client(answer.error);
  // The server has been synchronised by us: what the client sent behind the statement is dropped up to its
  // own Sync.
  if (is_execute())
    session_.state().discard_until_sync();
  else
    session_.send_to_client(ready_for_query(server_.status()));
}

// A guarded statement that came to nothing: told like a refusal, counted as what it was.
boost::asio::awaitable<void> interception::refuse_statement(const report& what) {
  const auto action = action_;
  co_await refuse(what);
  action_ = action;
}

}  // namespace tidegate::session
