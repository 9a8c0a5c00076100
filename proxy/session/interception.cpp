#include "proxy/session/interception.hpp"

#include "policies/fact_request.hpp"
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

// Parsing much more than this takes longer than other clients of the thread should wait: it goes to a thread
// of its own.
constexpr std::size_t parsed_in_place = 16 * 1024;

sql::parse_options options_of(const sql::lexical_settings& lexical, const config::settings& settings) {
  sql::parse_options options{.standard_conforming_strings = lexical.standard_conforming_strings};
  if (const std::size_t limit = settings.limits.parse_bytes; limit != 0)
    options.limit_bytes = std::min(limit, options.limit_bytes);
  return options;
}

double seconds(clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

put_as put_for(sql::session_effects effects) {
  return effects.has(sql::session_effect::statement_texts) ? put_as::statements : put_as::placeholders;
}

bool refuses(verdict v) {
  return v == verdict::plan || v == verdict::block;
}

metrics::ddl_action counted(verdict v, policies::policy_mode mode) {
  if (mode == policies::policy_mode::observe) return metrics::ddl_action::observed;
  return static_cast<metrics::ddl_action>(v);
}

// Statements of one message that are judged before the thread's other clients get a turn, and at most.
constexpr std::size_t statements_per_turn = 50;
constexpr std::size_t most_statements = 10'000;

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

report odd_name_report() {
  return {
      .sqlstate = std::string(protocol::sqlstate::feature_not_supported),
      .message = "names of prepared statements and portals that may be schema changes must be ASCII",
      .detail =
          "The server knows other names by another encoding than the client sends, so that the gateway "
          "can't follow which statement runs.",
      .hint =
          "Use a name of ASCII letters, without backslashes, or send the statement without preparing it."};
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
  if (static_cast<char>(message_[0]) == 'P') {
    // Only one that can't be remembered comes here, and what is not remembered could not be judged when it
    // runs.
    text_ = core::text_of(message_).text;
    if (!core::is_plain(core::text_of(message_).name)) {
      const report odd = odd_name_report();
      co_return co_await refuse_undecided(odd);
    }
    const report too_many{
        .sqlstate = std::string(protocol::sqlstate::configuration_limit_exceeded),
        .message = "too many prepared statements that may be schema changes",
        .detail =
            "The gateway keeps the texts of such statements, so that it can judge them when they run; this "
            "session has "
            "reached the bound.",
        .hint = "Close statements that are no longer needed, or send schema changes without preparing them."};
    co_return co_await refuse_undecided(too_many);
  }
  if (!co_await read_text()) co_return co_await forward();
  if (session_.lent() == nullptr || !names_statements()) co_return co_await handle();
  // Transaction mode, and SQL that names prepared statements: it finds the client's under their own names.
  if (sql::mentions_prefix(text_, core::shared_name_prefix)) {
    const report taken{
        .sqlstate = std::string(protocol::sqlstate::reserved_name),
        .message = "names of prepared statements that begin with \"tidegate_\" belong to the gateway",
        .hint = "Use another name, or a database entry with pool.mode: session."};
    co_return co_await refuse(taken);
  }
  const put_as what = put_for(sql::effects_of(text_, reading_.lexical));
  const auto put = co_await put_names_on_server(session_, server_, text_, what, server_reading_, own_end());
  if (!put) co_return;
  if (!put->ok()) co_return co_await fail_with(put->error);
  co_await handle();
  if (!session_.ended()) co_await take_names_off_server(session_, server_, own_end());
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

// How the server reads what the client sends now. False: the client was answered, or the session has ended.
boost::asio::awaitable<bool> interception::find_reading() {
  const core::session& state = session_.state();
  server_reading_ = reading_ = state.reading();
  if (state.reading_now() != nullptr || state.pipeline().failed()) co_return true;
  // Everything is answered: what ran in this batch is not reported before its end.
  const auto shown = co_await ask_reading(server_, own_end());
  if (!shown) co_return false;
  if (!shown->ok()) {
    co_await fail_with(shown->error);
    co_return false;
  }
  server_reading_ = reading_ = reading_of(*shown);
  co_return true;
}

bool interception::names_statements() const {
  return sql::effects_of(text_, reading_.lexical).has(sql::session_effect::statement_names);
}

// A Parse, Bind or Describe of SQL that names prepared statements: PostgreSQL looks for those already now.
boost::asio::awaitable<void> interception::put_names_first() {
  // Of a statement that was prepared before it is not asked what it does.
  const put_as what = message_.front() == std::byte{'P'}
                          ? put_for(sql::effects_of(core::text_of(message_).text, reading_.lexical))
                          : put_as::statements;
  const auto put = co_await put_names_on_server(session_, server_, {}, what, server_reading_, own_end());
  if (!put) co_return;
  if (put->ok())
    session_.put_back(message_);
  else
    co_await fail_with(put->error);
}

// What no text has to be looked at for.
boost::asio::awaitable<void> interception::refuse_message() {
  report why;
  switch (*refused_) {
    case core::refusal_reason::statement_too_long:
      why = {.sqlstate = std::string(protocol::sqlstate::program_limit_exceeded),
             .message = "statement of " + std::to_string(length_) + " bytes is too long to be examined",
             .detail = "The gateway holds at most " + std::to_string(settings_->limits.query_buffer) +
                       " bytes of one statement (limits.query_buffer), so that it can tell whether it is a "
                       "schema change.",
             .hint = "Send large values as parameters or by COPY, or raise limits.query_buffer."};
      co_return co_await refuse_undecided(why);
    case core::refusal_reason::names_first:
    case core::refusal_reason::reading_first:
      break;
    case core::refusal_reason::name_taken:
      co_return co_await refuse_taken_name();
    case core::refusal_reason::name_unknown:
      why = {.sqlstate = std::string(protocol::sqlstate::invalid_sql_statement_name),
             .message = "prepared statement does not exist",
             .detail = "Names that begin with \"tidegate_\" are the gateway's own."};
      break;
    case core::refusal_reason::sequence_value:
      why = {.sqlstate = std::string(protocol::sqlstate::object_not_in_prerequisite_state),
             .message = "currval() and lastval() need the server connection that ran nextval()",
             .detail =
                 "In a transaction pool each transaction may run on another one, and this one has served "
                 "somebody else meanwhile.",
             .hint = "Call both in one transaction, or use INSERT … RETURNING."};
      break;
    case core::refusal_reason::odd_name:
      why = odd_name_report();
      break;
    case core::refusal_reason::result_changed:
      why = {.sqlstate = std::string(protocol::sqlstate::feature_not_supported),
             .message = "cached plan must not change result type",
             .detail =
                 "A schema change has given the prepared statement another result than the client was told.",
             .hint = "Prepare it again.",
             .routine = "RevalidateCachedQuery"};
      break;
    case core::refusal_reason::other_reading:
      why = {.sqlstate = std::string(protocol::sqlstate::invalid_sql_statement_name),
             .message = "prepared statement was read by other settings when it was prepared",
             .detail =
                 "In a transaction pool it has to be prepared again on another server connection, where "
                 "standard_conforming_strings or client_encoding would now give its text another meaning.",
             .hint = "Prepare it again, or set both once, at login."};
      break;
    case core::refusal_reason::too_many_names:
      why = {.sqlstate = std::string(protocol::sqlstate::configuration_limit_exceeded),
             .message = "too many prepared statements",
             .detail = "In a transaction pool the gateway keeps at most " +
                       std::to_string(session_.state().limits().named_bytes >> 20) +
                       " MiB of names and texts per client.",
             .hint = "Close statements that are no longer needed."};
      break;
  }
  co_await refuse(why);
}

// PostgreSQL looks at the name last: whatever else is wrong with the message comes first.
boost::asio::awaitable<void> interception::refuse_taken_name() {
  const std::string name(core::text_of(message_).name);
  const auto tried = co_await server_.try_parse(
      core::byte_view(message_).subspan(protocol::frame_header_size + name.size() + 1));
  if (!tried) co_return;
  if (tried->ok()) {
    const report taken{.sqlstate = std::string(protocol::sqlstate::duplicate_prepared_statement),
                       .message = "prepared statement \"" + name + "\" already exists"};
    co_return co_await refuse(taken);
  }
  outcome_ = audit::outcome::failed;
  session_.on().counters.errors.add(tried->sqlstate);
  session_.send_to_client(tried->error);
  core::pipeline& pipeline = session_.state().pipeline();
  pipeline.sent('P');
  pipeline.received('E');
}

// The text behind the message. False: there is nothing to decide.
boost::asio::awaitable<bool> interception::read_text() {
  if (!is_execute()) {
    const auto found = core::text_of(message_);
    text_ = found.text;
    co_return found.valid;
  }
  const auto execute =
      protocol::decode_execute(core::byte_view(message_).subspan(protocol::frame_header_size));
  if (!execute) co_return false;
  // Everything sent before has been answered, so this is exact.
  const core::suspect_portal* portal = session_.state().prepared().portal(execute->portal);
  if (portal == nullptr) co_return false;
  text_ = portal->statement->text;
  reading_ = portal->statement->reading;
  bind_ = portal->bind;
  co_return true;
}

// False: it was dealt with here.
boost::asio::awaitable<bool> interception::parse() {
  const std::string* text = &text_;
  if (!reading_.lexical.ascii_safe_encoding) {
    if (auto converted = sql::to_utf8(text_, reading_.client_encoding)) {
      parsed_text_ = std::move(*converted);
      text = &parsed_text_;
    }
  }
  const sql::parse_options options = options_of(reading_.lexical, *settings_);
  const auto before = clock::now();
  if (text->size() <= parsed_in_place) {
    parsed_ = sql::parse(*text, options);
  } else {
    const auto work = [text, options] {
      sql::parsed result;
      sql::run_on_parse_stack([&] { result = sql::parse(*text, options); });
      return result;
    };
    parsed_ = co_await net::run_slowly(*session_.on().slow_work, work);
  }
  session_.metrics().database->statements_parsed.add();
  session_.on().counters.parse_seconds.observe(seconds(clock::now() - before));
  if (parsed_.ok() && parsed_.statements.size() <= most_statements) co_return true;
  if (parsed_.ok()) {
    too_many_ = parsed_.statements.size();
    parsed_.statements.clear();
    parsed_.error.emplace().failure = sql::parse_failure::too_long;
  }
  session_.on()
      .counters.parse_errors[static_cast<metrics::parse_failure_reason>(parsed_.error->failure)]
      .add();
  co_await unparsable();
  co_return false;
}

// The library can't read it. When the server can't either, its own error is the answer; else on_unparsable
// decides.
boost::asio::awaitable<void> interception::unparsable() {
  session_.on().counters.statements_classified[metrics::statement_class::unparsable].add();
  const policies::policy& policy = settings_->policies.policy;
  if (policy.mode != policies::policy_mode::enforce || policy.on_unparsable == verdict::allow)
    co_return co_await forward();
  if (!is_execute() && !session_.state().pipeline().failed()) {
    const auto tried = co_await server_.try_parse(text_, own_end());
    if (!tried) co_return;
    if (!tried->ok()) {
      // "cannot insert multiple commands into a prepared statement" has no position: the text itself was
      // read.
      const bool read =
          tried->sqlstate == protocol::sqlstate::syntax_error && field_of(tried->error, 'P').empty();
      if (!read) co_return co_await fail_with(tried->error);
      server_has_failed_ = own_end() == dialogue_end::flush;
      if (server_.status() == 'T' || server_.status() == 'E') {
        // Trying has failed the client's transaction: it can only be told the truth.
        session_.state().pipeline().set_status(core::transaction_status::failed);
      }
    }
  }
  const bool too_long = parsed_.error->failure == sql::parse_failure::too_long;
  const report unread{
      .sqlstate = std::string(too_long ? protocol::sqlstate::program_limit_exceeded
                                       : protocol::sqlstate::feature_not_supported),
      .message = too_long ? "statement is too long to be examined for schema changes"
                          : "statement can't be examined for schema changes",
      .detail = too_many_ != 0 ? "The message holds " + std::to_string(too_many_) + " statements; at most " +
                                     std::to_string(most_statements) + " are examined in one."
                : too_long
                    ? "It has " + std::to_string(text_.size()) + " bytes; the parser takes at most " +
                          std::to_string(sql::parse_limit_bytes) + " (limits.parse_bytes)."
                    : "The gateway's parser (PostgreSQL 15) does not know this syntax, so it can't tell "
                      "what the statement locks.",
      .hint =
          "Let such statements through with policies.on_unparsable: allow, or run it directly on the server. "
          "See docs/limitations.md."};
  co_await refuse_undecided(unread);
}

// SQL's EXECUTE reaches statements that the protocol prepared, which may be anything, EXECUTE among it: they
// are judged as if they stood here.
void interception::follow_executes() {
  std::set<std::string, std::less<>> followed;
  std::vector<std::string> names;
  bool fetches = false;
  const auto collect = [&](const std::vector<sql::statement>& statements) {
    for (const sql::statement& s : statements) {
      for (const policies::statement_part& part : policies::parts_of(s)) {
        if (const auto* execute = part.statement->as<sql::execute>(); execute != nullptr && part.runs)
          names.push_back(execute->name);
        if (const auto* other = part.statement->as<sql::other_statement>();
            other != nullptr && other->node == "FetchStmt")
          fetches = true;
      }
    }
  };
  collect(parsed_.statements);
  std::vector<core::suspect> suspects;
  for (;;) {
    // Any of them may be the one that FETCH or MOVE names.
    if (std::exchange(fetches, false) && followed.insert("").second)
      suspects = session_.state().prepared().of_named_portals();
    if (suspects.empty()) {
      if (names.empty()) return;
      const std::string name = std::move(names.back());
      names.pop_back();
      if (!followed.insert(name).second) continue;
      suspects.push_back(session_.state().prepared().statement(name));
    }
    const core::suspect prepared = std::move(suspects.back());
    suspects.pop_back();
    if (prepared == nullptr) continue;
    std::string text = prepared->text;
    if (!prepared->reading.lexical.ascii_safe_encoding) {
      if (auto converted = sql::to_utf8(text, prepared->reading.client_encoding))
        text = std::move(*converted);
    }
    sql::parsed inner = sql::parse(text, options_of(prepared->reading.lexical, *settings_));
    if (!inner.ok()) {  // on_unparsable decides of it, as it would of the statement itself
      parsed_.error = std::move(inner.error);
      return;
    }
    collect(inner.statements);
    executed_.emplace_back(std::move(text), std::move(inner));
  }
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

// False: the session ended, or the client was answered.
boost::asio::awaitable<bool> interception::read_facts() {
  std::vector<const sql::statement*> all;
  for (const sql::statement& s : parsed_.statements) all.push_back(&s);
  for (const auto& [text, inner] : executed_) {
    for (const sql::statement& s : inner.statements) all.push_back(&s);
  }
  const policies::fact_request request = policies::facts_needed(all);
  if (request.empty()) co_return true;
  const core::pipeline& pipeline = session_.state().pipeline();
  const auto unread = co_await must_not_read();
  if (!unread) co_return false;
  if (!pipeline.failed() && !*unread) {
    const auto query = control::make_resolution_query(request);
    std::vector<own_statement> lookup;
    lookup.push_back({query.sql, query.parameters});
    const auto answer = co_await server_.run(std::move(lookup), own_end());
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
    if (auto names = control::decode_resolution(request, answer->rows.front())) {
      names_ = std::move(*names);
      names_known_ = true;
      lock_timeout_ = std::to_string(names_.session.lock_timeout_ms) + "ms";
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
