// Of an interception: a statement that its client does not wait for. The client is answered at once, and the
// gateway carries the statement out by itself (background_statement.hpp): policies.ddl_mode async, and defer
// inside a transaction.

#include "policies/sql/normalise.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/control/background_ledger.hpp"
#include "proxy/control/plan_ledger.hpp"
#include "proxy/session/background_statement.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/deferred_ddl.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::session {
namespace {

// What the session has set, in so far as it may make a difference to what the statement means: not how long
// its client wants to wait, nor who it is.
constexpr std::string_view own_settings =
    "SELECT s.name, pg_catalog.current_setting(s.name) FROM pg_catalog.pg_settings AS s WHERE s.context "
    "OPERATOR(pg_catalog.=) 'user' AND s.source OPERATOR(pg_catalog.=) ANY "
    "(ARRAY['client', 'session']::pg_catalog.text[]) AND s.name OPERATOR(pg_catalog.<>) ALL "
    "(ARRAY['application_name', 'role', 'session_authorization', 'statement_timeout', 'lock_timeout', "
    "'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', "
    "'transaction_isolation', 'transaction_read_only', 'transaction_deferrable']::pg_catalog.text[])";

// Whether the control role may become the client's, and would give its code more rights than the client has:
// what a session became by SET ROLE, a function that runs in it can undo.
own_statement rights_of(const std::string& control_role, int server_version) {
  const std::string_view right = server_version >= 160000 ? "'SET'" : "'MEMBER'";
  return {"SELECT pg_catalog.pg_has_role(r.oid, current_user, " + std::string(right) +
              "), r.rolsuper AND NOT s.rolsuper FROM pg_catalog.pg_roles AS r, pg_catalog.pg_roles "
              "AS s WHERE r.rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND s.rolname "
              "OPERATOR(pg_catalog.=) session_user",
          {control_role}};
}

void set(std::vector<pool::parameter>& parameters, std::string name, std::string value) {
  std::erase_if(parameters, [&](const pool::parameter& each) { return each.name == name; });
  parameters.push_back({std::move(name), std::move(value)});
}

report because(report refusal, std::string_view sqlstate, std::string why, std::string hint) {
  refusal.sqlstate = sqlstate;
  refusal.detail += (refusal.detail.empty() ? "" : "\n") + std::move(why);
  refusal.hint = std::move(hint);
  return refusal;
}

}  // namespace

// What a session of the gateway's own needs to carry the statement out; without its id. None: the client was
// answered, or the session has ended.
boost::asio::awaitable<std::optional<background_statement>> interception::background_of(
    const decided& d, const report& refusal) {
  auto login = session_.login_again();
  if (!login) {
    co_await refuse(because(refusal, protocol::sqlstate::feature_not_supported,
                            "Not carried out in the background: the gateway can't log in as this client.",
                            "SET tidegate.ddl_mode = 'wait' carries it out while you wait."));
    co_return std::nullopt;
  }
  std::vector<own_statement> questions;
  questions.push_back({std::string(own_settings)});
  if (login->as_control_role)
    questions.push_back(rights_of(session_.control()->settings.user, facts_.snapshot.server_version));
  const auto asked = co_await server_.run(std::move(questions), own_end());
  if (!asked) co_return std::nullopt;
  if (!asked->ok()) {
    co_await fail_with(asked->error);
    co_return std::nullopt;
  }
  const std::string& role = names_.session.current_user;
  if (login->as_control_role) {
    const std::string& control = session_.control()->settings.user;
    const control::text_rows& rights = asked->rows.back();
    if (rights.empty() || control::truth(rights.front(), 1)) {
      co_await refuse(because(refusal, protocol::sqlstate::insufficient_privilege,
                              "Not carried out in the background: the gateway's control role " +
                                  sql::quote_identifier(control) +
                                  " is a superuser, and what runs in its session could become one again.",
                              "Give databases.….control a role that is none, or SET tidegate.ddl_mode = "
                              "'wait'."));
      co_return std::nullopt;
    }
    if (!control::truth(rights.front(), 0)) {
      co_await refuse(
          because(refusal, protocol::sqlstate::insufficient_privilege,
                  "Not carried out in the background: the gateway's control role may not act as " +
                      sql::quote_identifier(role) + ".",
                  "GRANT " + sql::quote_identifier(role) + " TO " + sql::quote_identifier(control) +
                      "; or SET tidegate.ddl_mode = 'wait' to carry it out while you wait."));
      co_return std::nullopt;
    }
  } else if (names_.session.session_user != login->request.user) {
    co_await refuse(because(refusal, protocol::sqlstate::feature_not_supported,
                            "Not carried out in the background: this session is under SET SESSION "
                            "AUTHORIZATION.",
                            "Log in as " + sql::quote_identifier(names_.session.session_user) +
                                ", or SET tidegate.ddl_mode = 'wait'."));
    co_return std::nullopt;
  }
  background_statement out;
  out.text = control::as_written_down(d.text);
  out.shown = sql::normalise(d.text, reading_.lexical, 1024);
  out.login = std::move(login->request);
  out.who = session_.who();
  out.application = session_.application();
  out.control = session_.control();
  out.metrics = session_.metrics();
  auto& parameters = out.login.parameters;
  std::erase_if(parameters, [](const pool::parameter& each) { return each.name == "replication"; });
  for (const control::text_row& setting : asked->rows.front())
    set(parameters, control::text(setting, 0), control::text(setting, 1));
  set(parameters, "application_name", out.application);
  set(parameters, "statement_timeout", "0");
  set(parameters, "tidegate.ddl_mode", "wait");
  if (role != out.login.user) set(parameters, "role", role);
  co_return out;
}

// False: the client was answered, or the session has ended.
boost::asio::awaitable<bool> interception::write_down(background_statement& what, const report& refusal) {
  const control::background_entry entry{.statement = what.text,
                                        .role = names_.session.current_user,
                                        .application = what.application,
                                        .transaction = what.transaction};
  const auto source = session_.on().shared.control.querier_for(*session_.control());
  const auto made = co_await control::record_background(*source, entry);
  if (session_.ended()) {  // before its client was answered
    if (made)
      tell_of_background(session_.on(), session_.control(), *made,
                         {.state = control::background_state::withdrawn});
    co_return false;
  }
  if (made) {
    what.id = what.who.background = *made;
    co_return true;
  }
  const bool lacks_right = made.error().sqlstate == protocol::sqlstate::insufficient_privilege;
  co_await refuse(because(
      refusal, made.error().sqlstate,
      "Not carried out in the background: it can't be written down in schema tidegate (" +
          made.error().message + ").",
      lacks_right
          ? "GRANT CREATE ON DATABASE … TO the gateway's control role (tidegate doctor has the words), "
            "or SET tidegate.ddl_mode = 'wait'."
          : "SET tidegate.ddl_mode = 'wait' carries it out while you wait."));
  co_return false;
}

void interception::answer_postponed(std::string_view tag) {
  action_ = audit::action_taken::postponed;
  outcome_ = audit::outcome::succeeded;
  protocol::byte_buffer answer;
  protocol::writer w(answer);
  protocol::encode(w, protocol::command_complete{tag});
  session_.send_to_client(answer);
  if (!is_execute()) session_.send_to_client(ready_for_query(server_.status()));
}

// Outside a transaction.
boost::asio::awaitable<void> interception::run_in_background(const decided& d) {
  const report refusal = to_report(policies::explain_refusal(d.decision));
  // A Parse and Bind of the same batch have opened an implicit transaction.
  if (session_.state().pipeline().unsynced() && !co_await server_.synchronise()) co_return;
  auto what = co_await background_of(d, refusal);
  if (!what) co_return;
  if (!co_await write_down(*what, refusal)) co_return;
  const std::int64_t id = what->id;
  if (!session_.on().run_in_background(std::move(*what))) {
    tell_of_background(session_.on(), session_.control(), id, not_taken());
    co_return co_await refuse(
        because(refusal, protocol::sqlstate::configuration_limit_exceeded,
                "Not carried out in the background: " + std::string(too_many_in_background) + ".",
                "Try again when some are done (SHOW DDL), or SET tidegate.ddl_mode = 'wait'."));
  }
  session_.send_to_client(notice(
      said(std::string(d.statement->tag) + " is carried out in the background (" + std::to_string(id) + ")",
           "SHOW DDL in the admin console follows it; tidegate.background tells how it ended.")));
  answer_postponed(d.statement->tag);
}

// Inside a transaction: the client goes on as if it were done, and it is, once the transaction is committed.
boost::asio::awaitable<void> interception::defer(const decided& d) {
  const report refusal = to_report(policies::explain_refusal(d.decision));
  session_memory& memory = session_.memory();
  if (!memory.deferred) memory.deferred = std::make_unique<deferred_ddl>();
  if (memory.deferred->full())
    co_return co_await refuse(because(refusal, protocol::sqlstate::configuration_limit_exceeded,
                                      "Not deferred: so are " + std::to_string(deferred_ddl::most) +
                                          " statements of this transaction already.",
                                      "Commit first."));
  auto what = co_await background_of(d, refusal);
  if (!what) co_return;
  const std::uint64_t number = memory.trail.next_number();
  const std::string mark = memory.trail.mark(number);
  const auto marked =
      co_await server_.run_sql(own_end(), mark,
                               "SELECT pg_catalog.txid_current(), "
                               "pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool");
  if (!marked) co_return;
  if (!marked->ok()) co_return co_await fail_with(marked->error);
  if (marked->rows.size() != 2 || marked->rows.back().empty())
    co_return session_.end(end_reason::protocol, protocol::sqlstate::protocol_violation,
                           "the server's answers do not match the gateway's requests");
  const control::text_row& transaction = marked->rows.back().front();
  if (control::truth(transaction, 1)) co_return co_await forward();  // the server says best what it is not
  what->transaction = control::number<std::int64_t>(transaction, 0).value_or(0);
  if (!co_await write_down(*what, refusal)) co_return;
  session_.send_to_client(notice(
      said(std::string(d.statement->tag) + " is deferred until COMMIT (" + std::to_string(what->id) + ")",
           "It is carried out in the background then; until it is done, nothing in the database knows "
           "of what it makes.")));
  memory.deferred->keep(std::move(*what), number);
  answer_postponed(d.statement->tag);
}

}  // namespace tidegate::session
