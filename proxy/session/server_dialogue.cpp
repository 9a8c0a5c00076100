#include "proxy/session/server_dialogue.hpp"

#include "policies/sql/encoding.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/frame.hpp"
#include "protocol/reader.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/core/message_fields.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"

namespace tidegate::session {
namespace {

using core::own_name;

// Answers of guarded statements are a tag and a few notices.
constexpr std::size_t largest_kept_answer = 4 << 20;

void close(protocol::writer& w, char kind) {
  w.begin_message('C');
  w.character(kind);
  w.cstring(own_name);
  w.end_message();
}

void parse(protocol::writer& w, std::string_view sql) {
  w.begin_message('P');
  w.cstring(own_name);
  w.cstring(sql);
  w.uint16(0);
  w.end_message();
}

void finish(protocol::writer& w, dialogue_end end) {
  w.begin_message(end == dialogue_end::sync ? 'S' : 'H');
  w.end_message();
}

char type_of(core::byte_view message) {
  return static_cast<char>(message[0]);
}

}  // namespace

boost::asio::awaitable<std::optional<own_answer>> server_dialogue::run(std::vector<own_statement> statements,
                                                                       dialogue_end end) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  for (const own_statement& s : statements) {
    close(w, 'S');
    close(w, 'P');
    parse(w, s.sql);
    w.begin_message('B');
    w.cstring(own_name);
    w.cstring(own_name);
    w.uint16(0);
    w.uint16(static_cast<std::uint16_t>(s.parameters.size()));
    for (const std::string& value : s.parameters) w.value(protocol::as_bytes(value));
    w.uint16(0);
    w.end_message();
    w.begin_message('E');
    w.cstring(own_name);
    w.int32(0);
    w.end_message();
    close(w, 'P');
    close(w, 'S');
  }
  finish(w, end);
  session_.send_to_server(out);
  // Two CloseCompletes before and two after each statement.
  const expected answers{4 * statements.size(), false};
  co_return co_await collect(answers, end);
}

boost::asio::awaitable<std::optional<own_answer>> server_dialogue::send_own(protocol::byte_buffer messages,
                                                                            std::size_t answers,
                                                                            dialogue_end end) {
  protocol::writer w(messages);
  finish(w, end);
  session_.send_to_server(messages);
  const expected all{answers, true};
  co_return co_await collect(all, end);
}

boost::asio::awaitable<std::optional<own_answer>> server_dialogue::collect(expected answers,
                                                                           dialogue_end end) {
  own_answer answer;
  std::size_t closes = 0;
  std::size_t bytes = 0;
  for (;;) {
    if (end == dialogue_end::flush && (closes == answers.until || !answer.error.empty())) co_return answer;
    const auto message = co_await session_.next_server_message(clock::time_point::max());
    if (!message) co_return std::nullopt;
    bytes += message->size();
    if (bytes > largest_kept_answer) {  // no server answers that much to what we ask
      session_.end(end_reason::protocol, "08P01", "the server's answer to the gateway is too large");
      co_return std::nullopt;
    }
    switch (type_of(*message)) {
      case '1':
        if (answers.parses) ++closes;
        break;
      case '3':
        ++closes;
        break;
      case 'T':
        answer.result = core::shape_of(*message);
        break;
      case 'n':
        answer.result = core::result_shape::no_rows;
        break;
      case '2':
        answer.rows.emplace_back();
        break;
      case 'D': {
        protocol::reader in(message->subspan(protocol::frame_header_size));
        control::text_row row;
        const std::uint16_t count = in.count(4);
        for (std::uint16_t i = 0; i < count; ++i) {
          const auto value = in.value();
          row.push_back(value ? control::text_cell(protocol::as_text(*value)) : std::nullopt);
        }
        if (!answer.rows.empty()) answer.rows.back().push_back(std::move(row));
        break;
      }
      case 'E':
        answer.error.assign(message->begin(), message->end());
        answer.sqlstate = field_of(*message, 'C');
        break;
      case 'Z':
        if (!now_ready(*message)) co_return std::nullopt;
        co_return answer;
      case 'A':
      case 'S':
        pass_on(*message);
        break;
      case 'N':
        if (answers.passes_notices) pass_on(*message);
        break;  // else about our own statements
      default:
        break;  // ParseComplete, CommandComplete
    }
  }
}

boost::asio::awaitable<std::optional<unit_answer>> server_dialogue::run_unit(protocol::byte_buffer messages,
                                                                             clock::time_point until) {
  session_.send_to_server(messages);
  unit_answer answer;
  for (;;) {
    const auto message = co_await session_.next_server_message(until);
    if (!message) {
      if (session_.ended() || answer.timed_out) co_return std::nullopt;
      answer.timed_out = true;
      until = clock::time_point::max();
      co_await session_.cancel_server();
      continue;
    }
    switch (type_of(*message)) {
      case 'Z':
        if (!now_ready(*message)) co_return std::nullopt;
        co_return answer;
      case 'E':
        answer.error.assign(message->begin(), message->end());
        answer.sqlstate = field_of(*message, 'C');
        break;
      case '1':
      case '2':
      case '3':
        break;  // of the messages that were sent again; the client has had its own
      case 'A':
      case 'S':
        pass_on(*message);
        break;
      default:
        answer.messages.insert(answer.messages.end(), message->begin(), message->end());
        if (answer.messages.size() > largest_kept_answer) {
          session_.end(end_reason::protocol, "54000", "the answer of a guarded statement is too large");
          co_return std::nullopt;
        }
    }
  }
}

boost::asio::awaitable<bool> server_dialogue::synchronise() {
  protocol::byte_buffer out;
  protocol::writer w(out);
  finish(w, dialogue_end::sync);
  session_.send_to_server(out);
  const expected nothing{0, false};
  const auto answer = co_await collect(nothing, dialogue_end::sync);
  co_return answer.has_value();
}

boost::asio::awaitable<std::optional<own_answer>> server_dialogue::try_parse(std::string_view text,
                                                                             dialogue_end end) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  close(w, 'S');
  parse(w, text);
  close(w, 'S');
  close(w, 'P');
  close(w, 'P');
  finish(w, end);
  session_.send_to_server(out);
  const expected answers{4, false};
  co_return co_await collect(answers, end);
}

boost::asio::awaitable<std::optional<own_answer>> server_dialogue::try_parse(core::byte_view body) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  close(w, 'S');
  parse_statement(w, own_name, body);
  close(w, 'S');
  finish(w, dialogue_end::flush);
  session_.send_to_server(out);
  const expected answers{3, true, true};
  co_return co_await collect(answers, dialogue_end::flush);
}

boost::asio::awaitable<bool> server_dialogue::fail(dialogue_end end) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  // What the server's log will show: a syntax error that says why it is there.
  parse(w, "statement refused by tidegate");
  finish(w, end);
  session_.send_to_server(out);
  const expected an_error{4, false};
  const auto answer = co_await collect(an_error, end);
  co_return answer.has_value();
}

bool is_true(const own_answer& answer, std::size_t at) {
  return at < answer.rows.size() && !answer.rows[at].empty() && control::truth(answer.rows[at].front(), 0);
}

boost::asio::awaitable<std::optional<bool>> is_still(server_dialogue& server, std::string_view full_name,
                                                     std::uint32_t oid) {
  if (oid == 0) co_return true;  // of no relation
  const std::string sql = "SELECT pg_catalog.to_regclass(" + sql::quote_literal(full_name) +
                          ")::pg_catalog.oid OPERATOR(pg_catalog.=) " + std::to_string(oid) +
                          "::pg_catalog.oid";
  const auto answer = co_await server.run_sql(dialogue_end::sync, sql);
  if (!answer) co_return std::nullopt;
  co_return answer->ok() && is_true(*answer);
}

boost::asio::awaitable<std::optional<own_answer>> ask_reading(server_dialogue& server, dialogue_end end) {
  return server.run_sql(end, "SHOW standard_conforming_strings", "SHOW client_encoding");
}

core::reading reading_of(const own_answer& answer) {
  core::reading now;
  if (answer.rows.size() != 2 || answer.rows.front().empty() || answer.rows.back().empty())
    return {{false, false}, "unknown"};  // no PostgreSQL answers so
  now.lexical.standard_conforming_strings = control::text(answer.rows.front().front(), 0) == "on";
  now.client_encoding = control::text(answer.rows.back().front(), 0);
  now.lexical.ascii_safe_encoding = sql::is_ascii_safe(now.client_encoding);
  return now;
}

void server_dialogue::pass_on(core::byte_view message) {
  if (type_of(message) == 'S') {
    protocol::reader in(message.subspan(protocol::frame_header_size));
    const std::string_view name = in.cstring();
    const std::string_view value = in.cstring();
    if (!in.failed()) session_.state().server_parameter(name, value);
    if (session_.lent() != nullptr && session_.lent()->restoring) return;
  }
  session_.send_to_client(message);
}

// A ReadyForQuery. False: it is none, and the session has ended.
bool server_dialogue::now_ready(core::byte_view message) {
  constexpr std::string_view known = "ITE";
  const bool whole = message.size() == protocol::frame_header_size + 1;
  const char status = whole ? static_cast<char>(message.back()) : '\0';
  if (known.find(status) == std::string_view::npos) {
    session_.end(end_reason::protocol, protocol::sqlstate::protocol_violation,
                 "the server sent an invalid message");
    return false;
  }
  status_ = status;
  session_.state().pipeline().set_status(static_cast<core::transaction_status>(status));
  return true;
}

}  // namespace tidegate::session
