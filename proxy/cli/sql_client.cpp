#include "proxy/cli/sql_client.hpp"

#include "protocol/authentication.hpp"
#include "protocol/copy.hpp"
#include "protocol/message_types.hpp"
#include "protocol/notice.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/startup.hpp"

#include <charconv>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace tidegate::cli {

namespace asio = boost::asio;

namespace {

using protocol::backend_type;

constexpr auto login_within = std::chrono::seconds(90);
constexpr std::uint32_t longest_message = 256U << 20U;  // a row of large values

server_message to_values(const protocol::notice& said) {
  server_message values;
  values.severity = said.severity.value_or("");
  values.sqlstate = said.sqlstate.value_or("");
  values.message = said.message.value_or("");
  values.detail = said.detail.value_or("");
  values.hint = said.hint.value_or("");
  const std::string_view position = said.position.value_or("");
  std::from_chars(position.data(), position.data() + position.size(), values.position);
  return values;
}

server_message decode(protocol::bytes body) {
  const auto said = protocol::decode_notice(body);
  return said ? to_values(*said) : server_message{.message = "a message that can't be read"};
}

control::text_row to_row(const protocol::data_row& row) {
  control::text_row cells;
  for (const auto& value : row.values) {
    if (value)
      cells.emplace_back(std::string(protocol::as_text(*value)));
    else
      cells.emplace_back(std::nullopt);
  }
  return cells;
}

}  // namespace

asio::awaitable<bool> sql_client::try_connect(sql_address where) {
  server_.reset();
  net::deadline until(executor_, login_within);
  auto connected = co_await net::connect(where.host, where.port, until);
  if (!connected) {
    why_not_ = connected.error().why;
    co_return false;
  }
  net::message_stream server(std::move(*connected));
  const protocol::startup_message startup{
      protocol::protocol_3_0,
      {{"user", where.user}, {"database", where.database}, {"application_name", where.application}}};
  protocol::byte_buffer packet;
  protocol::writer to(packet);
  encode(to, startup);
  if (const auto error = co_await server.write(packet, until)) {
    why_not_ = error.message();
    co_return false;
  }
  for (;;) {
    const auto message = co_await server.read(longest_message, until);
    if (!message) {
      why_not_ = message.error().message();
      co_return false;
    }
    if (message->type == static_cast<char>(backend_type::error_response)) {
      why_not_ = decode(message->body).message;
      co_return false;
    }
    if (message->type == static_cast<char>(backend_type::ready_for_query)) break;
  }
  server_.emplace(std::move(server));
  co_return true;
}

asio::awaitable<void> sql_client::connect(sql_address where) {
  const bool connected = co_await try_connect(std::move(where));
  if (!connected) throw std::runtime_error(why_not_);
}

asio::awaitable<sql_answer> sql_client::run(std::string sql, notice_handler on_notice, result_rows rows) {
  net::deadline until(executor_, answer_within_);
  protocol::byte_buffer packet;
  protocol::writer to(packet);
  encode(to, protocol::query{sql});
  if (const auto error = co_await server_->write(packet, until)) throw std::runtime_error(error.message());
  sql_answer answer;
  for (;;) {
    const auto message = co_await server_->read(longest_message, until);
    if (!message) throw std::runtime_error("the connection broke: " + message.error().message());
    switch (static_cast<backend_type>(message->type)) {
      case backend_type::ready_for_query:
        if (!message->body.empty()) answer.transaction_status = static_cast<char>(message->body.front());
        co_return answer;
      case backend_type::copy_in_response: {
        protocol::byte_buffer refusal;
        protocol::writer no_data(refusal);
        encode(no_data, protocol::copy_fail{"there are no data to copy"});
        if (const auto error = co_await server_->write(refusal, until))
          throw std::runtime_error(error.message());
        break;
      }
      case backend_type::error_response:
        answer.error = decode(message->body);
        break;
      case backend_type::notice_response:
        if (on_notice) on_notice(decode(message->body));
        break;
      case backend_type::command_complete:
        if (const auto complete = protocol::decode_command_complete(message->body))
          answer.command_tag = complete->tag;
        break;
      case backend_type::data_row:
        if (rows == result_rows::dropped) break;
        if (const auto row = protocol::decode_data_row(message->body)) answer.rows.push_back(to_row(*row));
        break;
      default:  // descriptions and parameters: who asks knows what for
        break;
    }
  }
}

asio::awaitable<sql_answer> sql_client::must_run(std::string sql) {
  sql_answer answer = co_await run(std::move(sql));
  if (answer.error) throw std::runtime_error(answer.error->severity + ": " + answer.error->message);
  co_return answer;
}

}  // namespace tidegate::cli
