#include "proxy/session/statement_renewal.hpp"

#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/core/message_fields.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/own_messages.hpp"

#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::session {
namespace {

using core::own_name;

constexpr std::string_view names_query =
    "SELECT name FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql LIMIT 10000";
// What is longer fails as it would without us: an answer of the server's is held in memory.
constexpr std::string_view text_query =
    "SELECT statement, parameter_types::pg_catalog.oid[]::pg_catalog.text FROM "
    "pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.=) $1 AND NOT from_sql AND "
    "pg_catalog.octet_length(statement) OPERATOR(pg_catalog.<) 1000000";

// An array of oids as text, {23,25}, into the end of a Parse. False: it is none.
bool put_types(protocol::writer& w, std::string_view array) {
  if (array.size() < 2 || array.front() != '{' || array.back() != '}') return false;
  array = array.substr(1, array.size() - 2);
  std::vector<std::uint32_t> types;
  while (!array.empty()) {
    std::uint32_t type = 0;
    const auto [end, error] = std::from_chars(array.data(), array.data() + array.size(), type);
    if (error != std::errc{}) return false;
    types.push_back(type);
    array.remove_prefix(static_cast<std::size_t>(end - array.data()));
    if (!array.empty() && array.front() != ',') return false;
    if (!array.empty()) array.remove_prefix(1);
  }
  if (types.size() > 0xffff) return false;
  w.uint16(static_cast<std::uint16_t>(types.size()));
  for (const std::uint32_t type : types) w.uint32(type);
  return true;
}

// A cancel or a timeout of the client's own has ended it.
bool gave_up(const own_answer& answer) {
  return answer.sqlstate == protocol::sqlstate::query_canceled ||
         answer.sqlstate == protocol::sqlstate::lock_not_available;
}

// What the text returns when it is prepared now.
boost::asio::awaitable<std::optional<own_answer>> try_now(server_dialogue& server, core::byte_view body,
                                                          dialogue_end end) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  close_statement(w, own_name);
  parse_statement(w, own_name, body);
  describe_statement(w, own_name);
  close_statement(w, own_name);
  co_return co_await server.send_own(std::move(out), 3, end);
}

boost::asio::awaitable<void> renew_on_own_server(client_session& session, server_dialogue& server) {
  core::session& state = session.state();
  const std::string name = state.renewal_name();
  if (!state.pipeline().at_rest()) co_return;  // in a transaction by now: the error will be the client's
  const std::uint64_t now = state.schema()->now();
  auto& counted = session.metrics().database->statement_renewals;
  if (state.seen_epoch() != now) {
    const auto listed = co_await server.run_sql(dialogue_end::sync, names_query);
    if (!listed) co_return;
    std::set<std::string, std::less<>> names;
    if (listed->ok() && !listed->rows.empty()) {
      for (const control::text_row& row : listed->rows.front()) names.insert(control::text(row, 0));
    }
    names.erase(std::string(own_name));
    state.stale_since(now, std::move(names));
  }
  if (!state.is_stale(name)) co_return;
  state.renewed(name);  // whatever comes of it: once is enough
  protocol::byte_buffer out;
  protocol::writer w(out);
  describe_statement(w, name);
  const auto described = co_await server.send_own(std::move(out), 0, dialogue_end::sync);
  if (!described) co_return;
  const auto fail = [&](const own_answer& answer) {
    session.send_to_client(answer.error);
    state.discard_until_sync();
  };
  if (gave_up(*described)) co_return fail(*described);
  if (described->sqlstate != protocol::sqlstate::feature_not_supported) co_return;
  state.result_has_changed(now);  // what the server says of it from here on is no news

  std::vector<own_statement> question;
  question.push_back({std::string(text_query), {name.substr(0, 63)}});
  const auto found = co_await server.run(std::move(question), dialogue_end::sync);
  if (!found) co_return;
  if (!found->ok() || found->rows.empty() || found->rows.front().empty()) co_return;
  const std::string text = control::text(found->rows.front().front(), 0);
  // A backslash may mean something else by now than when it was prepared.
  if (text.find('\\') != std::string::npos) co_return;
  protocol::byte_buffer body;
  protocol::writer b(body);
  b.cstring(text);
  if (!put_types(b, control::text(found->rows.front().front(), 1))) co_return;
  const auto tried = co_await try_now(server, body, dialogue_end::sync);
  if (!tried) co_return;
  if (gave_up(*tried)) co_return fail(*tried);
  if (!tried->ok()) co_return;
  if (const auto told = state.told().find(name); told && !core::same_shape(*told, tried->result)) {
    counted[metrics::renewal_result::result_changed].add();
    co_return;
  }
  protocol::byte_buffer anew;
  protocol::writer a(anew);
  close_statement(a, name);
  parse_statement(a, name, body);
  const auto made = co_await server.send_own(std::move(anew), 2, dialogue_end::sync);
  if (!made) co_return;
  // The text was fine a moment ago; the client is told why its statement has gone.
  if (!made->ok()) co_return fail(*made);
  counted[metrics::renewal_result::renewed].add();
}

// The statement is prepared on the server as it is now, to be compared with what the client was told.
boost::asio::awaitable<void> prepare_on_lent_server(client_session& session, server_dialogue& server) {
  core::session& state = session.state();
  core::sharing& sharing = *state.sharing();
  const std::string name = state.renewal_name();
  const bool in_batch = state.pipeline().unsynced();
  const dialogue_end end = in_batch ? dialogue_end::flush : dialogue_end::sync;
  const auto fail = [&](const protocol::byte_buffer& error) {
    session.send_to_client(error);
    if (in_batch)
      state.pipeline().mark_skipping();
    else
      state.discard_until_sync();
  };
  if (state.reading_now() == nullptr) {
    const auto now = co_await ask_reading(server, end);
    if (!now) co_return;
    if (!now->ok()) co_return fail(now->error);
    state.asked_reading(reading_of(*now));
  }
  const auto known = sharing.statements.find(name);
  const core::shared_statement_ptr statement = state.statement_now(name);
  if (!statement || !known.told) co_return;
  protocol::byte_buffer out;
  protocol::writer w(out);
  std::size_t answers = 3;
  for (const auto& gone : state.make_room()) {
    close_statement(w, gone->name);
    ++answers;
  }
  close_statement(w, statement->name);
  parse_statement(w, statement->name, statement->body);
  describe_statement(w, statement->name);
  close_statement(w, own_name);
  const auto tried = co_await server.send_own(std::move(out), answers, end);
  if (!tried) co_return;
  if (!tried->ok()) co_return fail(tried->error);  // as the Bind would have been answered
  sharing.on_server->prepared(statement, tried->result);
  const bool same = core::same_shape(*known.told, tried->result);
  session.metrics()
      .database
      ->statement_renewals[same ? metrics::renewal_result::renewed : metrics::renewal_result::result_changed]
      .add();
}

}  // namespace

boost::asio::awaitable<void> renew_statement(client_session& session) {
  if (!co_await session.take_server()) co_return;
  if (session.state().pipeline().skipping())
    co_return;  // the server ignores it until Sync, and would ignore us
  server_dialogue server(session);
  if (session.lent() != nullptr)
    co_await prepare_on_lent_server(session, server);
  else
    co_await renew_on_own_server(session, server);
}

}  // namespace tidegate::session
