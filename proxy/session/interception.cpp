#include "proxy/session/interception.hpp"

#include "policies/fact_request.hpp"
#include "policies/name_changes.hpp"
#include "policies/override_comment.hpp"
#include "policies/plan/migration_tool.hpp"
#include "policies/plan/planner.hpp"
#include "policies/sql/encoding.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/parse_stack.hpp"
#include "policies/statement_parts.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/log/log.hpp"
#include "proxy/net/slow_work.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/concurrent_index.hpp"
#include "proxy/session/guarded_ddl.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/planned_ddl.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/session_state.hpp"
#include "proxy/session/setting_bounds.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;
using policies::verdict;

double seconds(clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

bool refuses(verdict v) {
  return v == verdict::plan || v == verdict::block;
}

metrics::ddl_action counted(verdict v, policies::policy_mode mode) {
  if (mode == policies::policy_mode::observe) return metrics::ddl_action::observed;
  return static_cast<metrics::ddl_action>(v);
}

// Statements of one message that are judged before the thread's other clients get a turn.
constexpr std::size_t statements_per_turn = 50;

bool changes_settings(const sql::statement& s) {
  if (s.as<sql::variable_set>() != nullptr || s.as<sql::alter_role_set>() != nullptr ||
      s.as<sql::alter_system>() != nullptr)
    return true;
  if (const auto* discard = s.as<sql::discard>()) return discard->target == sql::discard_target::all;
  // What these run may set anything.
  if (s.as<sql::do_block>() != nullptr || s.as<sql::execute>() != nullptr || s.as<sql::call>() != nullptr)
    return true;
  if (const auto* query = s.as<sql::query>()) {
    return query->sets_settings || std::any_of(query->functions.begin(), query->functions.end(),
                                               [](const auto& f) { return f.name == "set_config"; });
  }
  return false;
}

// SET, RESET and DISCARD alone: a tag and perhaps a notice.
bool answers_little(const sql::parsed& parsed) {
  return parsed.statements.size() == 1 && (parsed.statements.front().as<sql::variable_set>() != nullptr ||
                                           parsed.statements.front().as<sql::discard>() != nullptr);
}

std::vector<std::string_view> commented_texts(std::string_view text,
                                              const std::vector<sql::statement>& statements) {
  std::vector<sql::text_range> ranges;
  ranges.reserve(statements.size());
  for (const sql::statement& s : statements) ranges.push_back(s.range);
  return policies::with_comments(text, ranges);
}

std::string_view text_of_statement(std::string_view text, sql::text_range range) {
  const auto begin = static_cast<std::size_t>(std::max(range.begin, 0));
  const auto end = static_cast<std::size_t>(std::max(range.end, range.begin));
  return begin <= text.size() ? text.substr(begin, end - begin) : text;
}

}  // namespace

interception::interception(client_session& session, protocol::byte_buffer message,
                           std::optional<core::refusal_reason> refused, std::size_t length)
    : session_(session),
      server_(session),
      vouching_(session),
      settings_(session.on().shared.settings.load()),
      message_(std::move(message)),
      refused_(refused),
      length_(length) {}

// An Execute inside a batch must not be synchronised behind the client's back; a simple Query stands alone.
dialogue_end interception::own_end() const {
  return session_.state().pipeline().unsynced() ? dialogue_end::flush : dialogue_end::sync;
}

boost::asio::awaitable<void> interception::run() {
  // Not inside the poller's call that found the statement.
  co_await boost::asio::post(session_.on().context, boost::asio::use_awaitable);
  began_ = clock::now();
  if (!co_await session_.take_server()) co_return;
  if (session_.state().pipeline().skipping()) {  // the server ignores it until Sync
    if (refused_ != core::refusal_reason::statement_too_long) co_await forward();
    co_return;
  }
  if (!co_await find_reading()) co_return;
  if (refused_ == core::refusal_reason::names_first) co_return co_await put_names_first();
  if (refused_ == core::refusal_reason::reading_first) {
    session_.state().asked_reading(reading_);
    co_return session_.put_back(message_);
  }
  if (refused_) co_return co_await refuse_message();
  if (auto* sharing = session_.state().sharing();
      sharing != nullptr && static_cast<char>(message_[0]) == 'Q') {
    sharing->statements.forget_unnamed();
    sharing->statements.sync_sent();
  }
  if (static_cast<char>(message_[0]) == 'P') co_return co_await refuse_parse();
  if (!co_await read_text()) co_return co_await forward();
  if (session_.lent() == nullptr || !names_statements()) co_return co_await handle();
  co_await handle_with_names();
}

boost::asio::awaitable<void> interception::handle() {
  if (!co_await parse()) co_return;
  session_.on()
      .counters
      .statements_classified[std::any_of(parsed_.statements.begin(), parsed_.statements.end(),
                                         [](const auto& s) { return s.ddl; })
                                 ? metrics::statement_class::ddl
                             : std::any_of(parsed_.statements.begin(), parsed_.statements.end(),
                                           changes_settings)
                                 ? metrics::statement_class::setting
                                 : metrics::statement_class::other]
      .add();
  follow_executes();
  if (parsed_.error) co_return co_await unparsable();
  if (!co_await mark_changes()) co_return;
  if (!co_await read_facts()) co_return;
  co_await decide();
  if (session_.ended()) co_return;
  co_await carry_out();
  co_await tell_audit();
  tell_ledger();
}

// LOCK TABLE takes no snapshot: where a transaction has only one, what it reads afterwards shows what was
// committed while it waited. A query of ours before it would take that away. None: the session ended, or the
// client was answered.
boost::asio::awaitable<std::optional<bool>> interception::must_not_read() {
  const bool only_locks =
      std::all_of(parsed_.statements.begin(), parsed_.statements.end(),
                  [](const sql::statement& s) { return s.as<sql::lock_table>() != nullptr; });
  if (!only_locks || session_.state().pipeline().status() != core::transaction_status::open) co_return false;
  const auto shown = co_await server_.run_sql(own_end(), "SHOW transaction_isolation", "SHOW lock_timeout");
  if (!shown) co_return std::nullopt;
  if (!shown->ok()) {
    co_await fail_with(shown->error);
    co_return std::nullopt;
  }
  if (shown->rows.size() != 2 || shown->rows.front().empty() || shown->rows.back().empty()) {
    session_.end(end_reason::protocol, protocol::sqlstate::protocol_violation,
                 "the server's answers do not match the gateway's requests");
    co_return std::nullopt;
  }
  lock_timeout_ = control::text(shown->rows.back().front(), 0);
  co_return control::text(shown->rows.front().front(), 0) != "read committed";
}

// Of SQL_ASCII the server converts nothing.
bool interception::speaks_utf8() const {
  return server_reading_.client_encoding == "UTF8" || server_reading_.client_encoding == "SQL_ASCII";
}

// What is sent on the client's connection is in the client's encoding. False: it can't be said in it.
bool interception::to_client_encoding(std::vector<std::string>& texts) const {
  if (speaks_utf8()) return true;
  for (std::string& text : texts) {
    auto converted = sql::from_utf8(text, server_reading_.client_encoding);
    if (!converted) return false;
    text = std::move(*converted);
  }
  return true;
}

void interception::from_client_encoding(control::text_rows& rows) const {
  if (speaks_utf8()) return;
  for (control::text_row& row : rows)
    for (control::text_cell& cell : row)
      if (cell)
        if (auto converted = sql::to_utf8(*cell, server_reading_.client_encoding))
          cell = std::move(converted);
}

// False: the session ended, or the client was answered.
boost::asio::awaitable<bool> interception::read_facts() {
  std::vector<const sql::statement*> all;
  for (const sql::statement& s : parsed_.statements) all.push_back(&s);
  for (const auto& [text, inner] : executed_) {
    for (const sql::statement& s : inner.statements) all.push_back(&s);
  }
  policies::fact_request request = policies::facts_needed(all);
  if (request.empty()) co_return true;
  const core::pipeline& pipeline = session_.state().pipeline();
  const auto unread = co_await must_not_read();
  if (!unread) co_return false;
  if (!pipeline.failed() && !*unread) {
    auto query = control::make_resolution_query(request);
    const bool sayable = to_client_encoding(query.parameters);
    if (!sayable) {
      request = {};
      request.session = true;
      query = control::make_resolution_query(request);
    }
    std::vector<own_statement> lookup;
    lookup.push_back({std::move(query.sql), std::move(query.parameters)});
    auto answer = co_await server_.run(std::move(lookup), own_end());
    if (!answer) co_return false;
    if (!answer->ok()) {
      // Something around it: a timeout of the client's own, a cancel. It is the statement's error too.
      co_await fail_with(answer->error);
      co_return false;
    }
    if (answer->rows.empty()) {
      session_.end(end_reason::protocol, protocol::sqlstate::protocol_violation,
                   "the server's answers do not match the gateway's requests");
      co_return false;
    }
    from_client_encoding(answer->rows.front());
    if (auto names = control::decode_resolution(request, answer->rows.front())) {
      names_ = std::move(*names);
      names_known_ = true;
      lock_timeout_ = std::to_string(names_.session.lock_timeout_ms) + "ms";
      if (!sayable) {
        facts_.lacked = "the client's encoding can't say a name of the statement";
        co_return true;
      }
      if (!session_.control()) {
        facts_.lacked = "the gateway has no control user for this database (databases.….control)";
        co_return true;
      }
      const auto before = clock::now();
      facts_ = co_await session_.on().shared.control.read_facts(*session_.control(), request, names_);
      session_.on().shared.metrics.process().facts_read_seconds.observe(seconds(clock::now() - before));
      if (!facts_.lacked.empty()) {
        session_.on().shared.metrics.process().facts_failures[metrics::fact_failure::failed].add();
        log::warning<"facts_missing">({{"database", session_.who().database}, {"why", facts_.lacked}});
      }
      mark_fresh(request);
      co_return true;
    }
  }
  facts_.snapshot.available = false;
  facts_.lacked = "the names could not be looked up in this transaction";
  co_return true;
}

void interception::mark_fresh(const policies::fact_request& request) {
  if (!session_.on().shared.new_relations.any()) return;
  const core::relation_maker me{session_.who().user, session_.application()};
  for (const auto& written : request.relations) {
    const auto found = facts_.snapshot.relation(written);
    if (!found) continue;
    policies::relation_facts copy = *found.facts;
    const std::string table = copy.index_table.empty() ? copy.full_name() : copy.index_table;
    copy.fresh = session_.on().shared.new_relations.is_new(session_.who().database, table, me, clock::now());
    facts_.snapshot.bind_relation(written, std::move(copy));
  }
}

// CREATE … IF NOT EXISTS and CREATE OR REPLACE may have found the relation there; unless it is certain that
// they did not, they have not made it.
bool interception::existed(const sql::statement& s) const {
  const sql::qualified_name* relation = nullptr;
  sql::qualified_name index;
  if (const auto* t = s.as<sql::create_table>(); t != nullptr && t->if_not_exists) relation = &t->relation;
  if (const auto* t = s.as<sql::create_table_as>(); t != nullptr && t->if_not_exists) relation = &t->relation;
  if (const auto* v = s.as<sql::create_view>(); v != nullptr && v->replace) relation = &v->relation;
  if (const auto* i = s.as<sql::create_index>(); i != nullptr && i->if_not_exists) {
    index = {.database = {}, .schema = i->relation.schema, .name = i->name};
    relation = &index;
  }
  return relation != nullptr && facts_.snapshot.relation(*relation).state != policies::presence::missing;
}

// It concerns relations of this session only: temporary ones, and those that were not there before the
// message.
bool interception::is_temporary(const sql::statement& s) const {
  const auto temporary = [this](const sql::qualified_name& name) {
    const auto found = facts_.snapshot.relation(name);
    return found ? found->persistence == 't' : found.state == policies::presence::missing;
  };
  if (const auto* t = s.as<sql::alter_table>()) return temporary(t->relation);
  if (const auto* d = s.as<sql::drop>())
    return !d->objects.empty() && std::all_of(d->objects.begin(), d->objects.end(), temporary);
  return false;
}

boost::asio::awaitable<void> interception::decide() {
  const core::pipeline& pipeline = session_.state().pipeline();
  history_ = session_.memory().history;
  if (session_.control())
    history_.leave_the_past_to_the_catalog();
  else
    history_.forget_temporary_relations();
  who_ = {.role = names_known_ ? names_.session.current_user : session_.who().user,
          .application = session_.application(),
          .database = session_.who().database,
          .in_transaction = pipeline.status() != core::transaction_status::idle,
          .alone_in_message = parsed_.statements.size() == 1 && !pipeline.executed_unsynced(),
          .guarded = true,
          .lock_timeout = {}};
  policies::session_facts who = who_;  // as each statement of the message finds it
  const std::string_view text = parsed_text_.empty() ? std::string_view(text_) : parsed_text_;
  for (const auto& [prepared, inner] : executed_) {
    const auto commented = commented_texts(prepared, inner.statements);
    for (std::size_t i = 0; i < inner.statements.size(); ++i) {
      const sql::statement& s = inner.statements[i];
      const policies::rule_input input{s, prepared, facts_.snapshot, who, history_, commented[i]};
      decisions_.push_back({&s, text_of_statement(prepared, s.range), commented[i],
                            policies::decide(input, settings_->policies.policy), undo_of(input)});
      for (policies::finding& f : decisions_.back().decision.reported)
        f.at = -1;  // positions in a text the client did not send now
    }
  }
  const auto commented = commented_texts(text, parsed_.statements);
  for (std::size_t i = 0; i < parsed_.statements.size(); ++i) {
    if (i % statements_per_turn == statements_per_turn - 1) {  // the thread's other clients
      co_await boost::asio::post(session_.on().context, boost::asio::use_awaitable);
      if (session_.ended()) co_return;
    }
    const sql::statement& s = parsed_.statements[i];
    const policies::rule_input input{s, text, facts_.snapshot, who, history_, commented[i]};
    decisions_.push_back({&s, text_of_statement(text, s.range), commented[i],
                          policies::decide(input, settings_->policies.policy), undo_of(input)});
    history_.add(s, existed(s), facts_.snapshot);
    if (policies::changes_names(s, facts_.snapshot)) facts_.snapshot.forget_unqualified();
    if (const auto* t = s.as<sql::transaction>()) {
      if (t->action == sql::transaction_action::begin) who.in_transaction = true;
      if (t->action == sql::transaction_action::commit || t->action == sql::transaction_action::rollback)
        who.in_transaction = false;
    }
  }
}

boost::asio::awaitable<void> interception::carry_out() {
  const decided* refused = nullptr;
  const decided* rewritten = nullptr;
  bool guarded = false;
  bool settings = false;
  bool overridden = false;
  for (const decided& d : decisions_) {
    if (d.decision.mode == policies::policy_mode::observe) {
      action_ = audit::action_taken::observed;
      continue;
    }
    if (d.decision.mode == policies::policy_mode::off) continue;
    if (refused == nullptr && refuses(d.decision.action)) refused = &d;
    if (d.decision.action == verdict::rewrite && rewritten == nullptr) rewritten = &d;
    guarded = guarded || d.decision.guarded;
    settings = settings || changes_settings(*d.statement);
    overridden = overridden || !d.decision.overridden.empty();
  }
  // A failed transaction runs nothing but its end; the server says so better.
  if (session_.state().pipeline().failed() && parsed_.statements.size() == 1) co_return co_await forward();

  const bool blocked = refused != nullptr && refused->decision.action == verdict::block;
  if (!blocked && may_have_plan() && co_await go_on_with_plan()) co_return;
  if (refused != nullptr && refused->decision.action == verdict::plan && decisions_.size() == 1)
    co_return co_await carry_out_plan(*refused);
  if (refused != nullptr) co_return co_await refuse(refused->decision);
  if (overridden) action_ = audit::action_taken::overridden;
  if (rewritten != nullptr) {
    const bool seen_to = co_await carry_out_later(*rewritten);
    if (seen_to) co_return;
    concurrent_index way(*this, *rewritten->statement, rewritten->decision);
    switch (way.possible()) {
      case concurrent_index::answer::yes:
        warn();
        co_return co_await way.run();
      case concurrent_index::answer::no_refuse:
        co_return co_await refuse(rewritten->decision);
      case concurrent_index::answer::no_guard:
        guarded = true;
        break;
    }
  }
  warn();
  if (guarded) {
    guarded_ddl way(*this);
    co_return co_await way.run();
  }
  const bool enforced = std::any_of(decisions_.begin(), decisions_.end(), [](const decided& d) {
    return d.decision.mode == policies::policy_mode::enforce;
  });
  if (enforced && concurrent_index::is_concurrent(parsed_))
    co_return co_await concurrent_index::run_as_written(*this);
  const bool ddl =
      parsed_.statements.size() == 1 &&
      (parsed_.statements.front().ddl || parsed_.statements.front().as<sql::vacuum>() != nullptr);
  if (ddl && names_known_ && is_execute()) {
    const bool afresh = co_await begin_afresh();
    if (afresh) co_return co_await run_afresh();
  }
  if (settings && answers_little(parsed_) && has_setting_bounds(*settings_) &&
      own_end() == dialogue_end::sync) {
    // Kept until the bounds are applied, so that the NOTICE stands before ReadyForQuery.
    const auto answer = co_await server_.run_unit(message_, clock::time_point::max());
    if (!answer) co_return;
    if (!answer->error.empty()) co_return answer_failed(*answer);
    outcome_ = audit::outcome::succeeded;
    co_await bound_settings();
    answer_succeeded(*answer);
    co_return;
  }
  if (settings) {
    for (const sql::statement& s : parsed_.statements) {
      if (const auto* role = s.as<sql::alter_role_set>())
        tell_bound_of_default(session_, *settings_, role->setting);
      if (const auto* system = s.as<sql::alter_system>())
        tell_bound_of_default(session_, *settings_, system->setting);
    }
  }
  co_await forward();
  if (settings) co_await bound_settings();
}

// Behind begin_afresh().
boost::asio::awaitable<void> interception::run_afresh() {
  const std::string token = co_await vouch();
  if (session_.ended()) co_return;
  if (!token.empty()) {
    std::vector<own_statement> before(1, set_vouch(token, vouch_lasts::session));
    if (!co_await server_.run(std::move(before), dialogue_end::sync)) co_return;
  }
  const auto answer = co_await server_.run_unit(statement_unit(), clock::time_point::max());
  if (!answer) co_return;
  if (answer->error.empty())
    answer_succeeded(*answer);
  else
    answer_failed(*answer);
  if (!token.empty()) co_await take_vouch_back();
}

void interception::warn() {
  for (const decided& d : decisions_) {
    if (d.decision.mode != policies::policy_mode::enforce) continue;
    for (const policies::refusal& w : policies::explain_warnings(d.decision)) {
      session_.send_to_client(notice(to_report(w)));
      if (action_ == audit::action_taken::forwarded) action_ = audit::action_taken::warned;
    }
  }
}

boost::asio::awaitable<void> interception::bound_settings() {
  if (outcome_ != audit::outcome::succeeded || session_.ended()) co_return;
  const bool brought_back = co_await keep_settings_in_bounds(session_, server_, *settings_, own_end());
  if (brought_back) action_ = audit::action_taken::clamped;
}

// In a way that may concern what others have prepared.
bool interception::changes_schema() const {
  return std::any_of(decisions_.begin(), decisions_.end(), [this](const decided& d) {
    return d.statement->ddl && !policies::only_adds(*d.statement) && !is_temporary(*d.statement);
  });
}

// What the rest of the transaction, and of other statements, is judged by.
void interception::remember(bool succeeded) {
  if (session_.ended()) return;
  if (succeeded) {
    // What SQL has prepared is followed by its name.
    core::suspect whole;
    for (const sql::statement& s : parsed_.statements) {
      const auto* prepared = s.as<sql::prepare>();
      if (prepared == nullptr) continue;
      if (!whole) whole = std::make_shared<core::suspect_statement>(core::suspect_statement{text_, reading_});
      session_.state().prepared().prepared_in_sql(prepared->name, whole);
    }
    const core::relation_maker me{session_.who().user, session_.application()};
    for (const sql::statement& s : parsed_.statements) {
      const sql::qualified_name* made = nullptr;
      if (const auto* t = s.as<sql::create_table>(); t != nullptr && !t->temporary) made = &t->relation;
      if (const auto* t = s.as<sql::create_table_as>(); t != nullptr && !t->temporary) made = &t->relation;
      if (made == nullptr || existed(s)) continue;
      std::string schema = made->schema;
      if (schema.empty() && names_known_) {
        for (const std::string& candidate : names_.session.search_path) {
          if (candidate != "pg_catalog" && !candidate.starts_with("pg_temp")) {
            schema = candidate;
            break;
          }
        }
      }
      session_.on().shared.new_relations.made(session_.who().database, schema, made->name, me,
                                              clock::now() + settings_->policies.new_relation_window);
    }
  }
  if (session_.state().pipeline().status() != core::transaction_status::open) return;
  session_memory& memory = session_.memory();
  if (succeeded) {
    memory.history = history_;
    const bool strong = std::any_of(decisions_.begin(), decisions_.end(),
                                    [](const decided& d) { return d.decision.guarded; });
    if (strong && !memory.holding_since) memory.holding_since = clock::now();
  }
}

boost::asio::awaitable<void> interception::tell_audit() {
  for (std::size_t i = 0; i < decisions_.size(); ++i) {
    if (i % statements_per_turn == statements_per_turn - 1)
      co_await boost::asio::post(session_.on().context, boost::asio::use_awaitable);
    const decided& d = decisions_[i];
    const auto& findings = d.decision.reported;
    const auto& metrics = session_.metrics();
    for (const policies::finding& f : findings) metrics.count_ddl(f.rule, counted(f.action, d.decision.mode));
    for (const policies::finding& f : d.decision.overridden)
      metrics.count_ddl(f.rule, metrics::ddl_action::overridden);
    if (!d.statement->ddl && findings.empty() && d.decision.overridden.empty()) continue;
    if (findings.empty() && d.decision.overridden.empty())
      metrics.count_ddl("none", counted(verdict::allow, d.decision.mode));
    audit::audit_record record = new_record(sql::normalise(d.text, reading_.lexical));
    record.findings = findings;
    record.findings.insert(record.findings.end(), d.decision.overridden.begin(), d.decision.overridden.end());
    record.verdict = d.decision.action;
    record.tags = policies::comment_tags(d.commented);
    record.override_reason = d.decision.override_reason;
    session_.on().shared.audit.record(record);
  }
}

audit::audit_record interception::new_record(std::string statement) const {
  audit::audit_record record;
  record.time = std::chrono::system_clock::now();
  record.client = session_.who().peer.to_string();
  record.database = session_.who().database;
  record.user = session_.who().user;
  record.application_name = session_.application();
  record.statement = std::move(statement);
  record.action = action_;
  record.result = session_.ended() ? audit::outcome::unknown : outcome_;
  record.sqlstate = sqlstate_;
  record.duration = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began_);
  record.attempts = attempts_;
  record.lock_wait = lock_wait_;
  return record;
}

}  // namespace tidegate::session
