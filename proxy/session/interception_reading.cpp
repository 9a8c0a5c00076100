// Of an interception: what its message says and how it is read, and what can't be read.

#include "policies/sql/encoding.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/parse_stack.hpp"
#include "policies/statement_parts.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/net/slow_work.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/session_state.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace tidegate::session {
namespace {

using clock = std::chrono::steady_clock;
using policies::verdict;

// At most so many statements of one message are judged.
constexpr std::size_t most_statements = 10'000;

double seconds(clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Parsing much more than this takes longer than other clients of the thread should wait: it goes to a thread
// of its own.
constexpr std::size_t parsed_in_place = 16 * 1024;

sql::parse_options options_of(const sql::lexical_settings& lexical, const config::settings& settings) {
  sql::parse_options options{.standard_conforming_strings = lexical.standard_conforming_strings};
  if (const std::size_t limit = settings.limits.parse_bytes; limit != 0)
    options.limit_bytes = std::min(limit, options.limit_bytes);
  return options;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// The text in UTF-8, in which facts have their names. Empty: what counts of it is that already. None: it is
// in an encoding that can't be read byte by byte, and can't be converted.
std::optional<std::string> with_names_in_utf8(const std::string& text, const core::reading& reading) {
  const std::string& encoding = reading.client_encoding;
  if (!reading.lexical.ascii_safe_encoding) return sql::to_utf8(text, encoding);
  if (encoding == "UTF8" || is_ascii(text)) return std::string();
  const std::string shape = sql::normalise(text, reading.lexical, text.size());
  if (is_ascii(shape) && shape != sql::command_word(text)) return std::string();
  return sql::to_utf8(text, encoding).value_or(std::string());
}

sql::parsed not_convertible() {
  sql::parsed nothing;
  nothing.error.emplace().failure = sql::parse_failure::internal;
  return nothing;
}

put_as put_for(sql::session_effects effects) {
  return effects.has(sql::session_effect::statement_texts) ? put_as::statements : put_as::placeholders;
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

}  // namespace

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

// Transaction mode, and SQL that names prepared statements: it finds the client's under their own names.
boost::asio::awaitable<void> interception::handle_with_names() {
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

// Only one that can't be remembered comes here, and what is not remembered could not be judged when it runs.
boost::asio::awaitable<void> interception::refuse_parse() {
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
  auto converted = with_names_in_utf8(text_, reading_);
  const bool readable = converted.has_value();
  if (readable) parsed_text_ = std::move(*converted);
  const std::string* text = parsed_text_.empty() ? &text_ : &parsed_text_;
  const sql::parse_options options = options_of(reading_.lexical, *settings_);
  const auto before = clock::now();
  if (!readable) {
    parsed_ = not_convertible();
  } else if (text->size() <= parsed_in_place) {
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
    auto converted = with_names_in_utf8(text, prepared->reading);
    const bool readable = converted.has_value();
    if (readable && !converted->empty()) text = std::move(*converted);
    sql::parsed inner =
        readable ? sql::parse(text, options_of(prepared->reading.lexical, *settings_)) : not_convertible();
    if (!inner.ok()) {  // on_unparsable decides of it, as it would of the statement itself
      parsed_.error = std::move(inner.error);
      return;
    }
    collect(inner.statements);
    executed_.emplace_back(std::move(text), std::move(inner));
  }
}

}  // namespace tidegate::session
