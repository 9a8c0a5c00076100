#pragma once
// A client of a PostgreSQL server or of a gateway, as small as the commands need one: logs in without a
// password, runs simple queries, and gives back all that the server says, notices as they come. It has no
// data for COPY. One coroutine at a time, on the thread of its executor.

#include "proxy/control/query_result.hpp"
#include "proxy/net/message_stream.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace tidegate::cli {

struct sql_address {
  std::string host;  // name, address, or the folder of a unix socket
  std::uint16_t port = 5432;
  std::string user, database, application;
};

// An error or a notice.
struct server_message {
  std::string severity, sqlstate, message, detail, hint;
  std::size_t position = 0;  // character in the statement, from 1; 0: none
};

struct sql_answer {
  control::text_rows rows;
  std::string command_tag;  // of the last statement that succeeded
  std::optional<server_message> error;
  char transaction_status = 'I';  // as ReadyForQuery has it
};

enum class result_rows : std::uint8_t { kept, dropped };

class sql_client {
 public:
  using notice_handler = std::function<void(const server_message&)>;

  explicit sql_client(boost::asio::any_io_executor executor,
                      std::chrono::seconds answer_within = std::chrono::seconds(90))
      : executor_(std::move(executor)), answer_within_(answer_within) {}

  // False: nobody listens there, or the login was refused.
  boost::asio::awaitable<bool> try_connect(sql_address where);
  // Throws std::runtime_error with the reason.
  boost::asio::awaitable<void> connect(sql_address where);

  // Throws std::runtime_error when the connection breaks or no answer comes in time; what the server refuses
  // is in the answer.
  boost::asio::awaitable<sql_answer> run(std::string sql, notice_handler on_notice = {},
                                         result_rows rows = result_rows::kept);
  // The same; throws std::runtime_error with the server's message for an error too.
  boost::asio::awaitable<sql_answer> must_run(std::string sql);

 private:
  boost::asio::any_io_executor executor_;
  std::chrono::seconds answer_within_;
  std::optional<net::message_stream> server_;
  std::string why_not_;  // the last connect failed
};

}  // namespace tidegate::cli
