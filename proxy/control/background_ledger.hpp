#pragma once
// Statements that the gateway carries out by itself, in schema `tidegate` of their own database
// (gateway_schema.hpp): tidegate.background has a row for each, from the moment its client was answered.
// Their steps are in tidegate.plan, like those of any other plan. docs/plans.md has the columns.

#include "proxy/control/querier.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

enum class background_state : std::uint8_t {
  deferred,   // its transaction is not committed yet
  withdrawn,  // … and was rolled back
  queued,
  running,
  done,
  stopped,  // what is done stands; the same statement goes on
  failed,   // with an error of its own; what was done is taken back
};
std::string_view word(background_state state);

struct background_entry {
  std::string statement;  // as_written_down()
  std::string role, application;
  std::int64_t transaction = 0;  // whose COMMIT it waits for, as txid_current() has it; 0: none
};

// Makes the table if need be and writes the row, in state queued or (with a transaction) deferred. Its id.
boost::asio::awaitable<outcome<std::int64_t>> record_background(querier& source,
                                                                const background_entry& entry);

struct background_news {
  background_state state = background_state::running;
  std::int32_t backend_pid = 0;   // of the session that carries it out; 0: as it was
  std::string sqlstate, message;  // why it did not go through
};
boost::asio::awaitable<bool> record_background_news(querier& source, std::int64_t id,
                                                    const background_news& news);

}  // namespace tidegate::control
