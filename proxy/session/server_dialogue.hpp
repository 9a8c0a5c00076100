#pragma once
// Statements of the gateway's own on the client's server connection, while an interception has it: sent by
// the extended protocol under a name of ours, their answers taken away again, so that the client's unnamed
// statement and portal stay as they are. What comes unasked meanwhile (ParameterStatus, NotificationResponse)
// is passed on.

#include "protocol/bytes.hpp"
#include "proxy/control/query_result.hpp"
#include "proxy/core/session.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

// How statements of ours are ended: by Sync between messages of the client, by Flush inside its unsynced
// batch.
enum class dialogue_end : std::uint8_t { sync, flush };

struct own_statement {
  std::string sql;
  std::vector<std::string> parameters = {};  // text
};

struct own_answer {
  std::vector<control::text_rows> rows;  // of each statement that ran
  protocol::byte_buffer error;           // the server's ErrorResponse, whole; empty: all went well
  std::string sqlstate;                  // of it
  core::result_shape result = core::result_shape::unknown;  // of the last Describe

  bool ok() const { return error.empty(); }
};

// What a statement of the client answered: everything but the final ReadyForQuery, kept until it is decided
// what to do with it.
struct unit_answer {
  protocol::byte_buffer messages;  // to be passed on
  protocol::byte_buffer error;     // its ErrorResponse, whole; empty: it succeeded
  std::string sqlstate;
  bool timed_out = false;  // the deadline passed and the server was asked to cancel
};

class server_dialogue {
 public:
  using clock = std::chrono::steady_clock;

  explicit server_dialogue(client_session& session) : session_(session) {}

  // One round trip; after an error the rest is skipped. None: the session has ended.
  boost::asio::awaitable<std::optional<own_answer>> run(std::vector<own_statement> statements,
                                                        dialogue_end end);
  // The same with statements that have no parameters.
  template <class... Text>
  boost::asio::awaitable<std::optional<own_answer>> run_sql(dialogue_end end, Text&&... sql) {
    std::vector<own_statement> statements;
    (statements.push_back(own_statement{std::string(std::forward<Text>(sql)), {}}), ...);
    return run(std::move(statements), end);
  }
  // Sends messages that end in one ReadyForQuery (a Query, or Bind … Sync) and keeps the answer. When `until`
  // passes first, the server is asked to cancel, and its answer is awaited. None: the session has ended, or
  // the answer was too big to keep.
  boost::asio::awaitable<std::optional<unit_answer>> run_unit(protocol::byte_buffer messages,
                                                              clock::time_point until);
  // A lone Sync: ends the implicit transaction of the batch so far.
  boost::asio::awaitable<bool> synchronise();
  // Whether the server's own parser takes the text (hazards.md, on_unparsable). The error, if it does not.
  boost::asio::awaitable<std::optional<own_answer>> try_parse(std::string_view text, dialogue_end end);
  // The same for a Parse of the client's in a batch, given what follows its name: its warnings are passed on.
  // After an error the server skips to the client's Sync.
  boost::asio::awaitable<std::optional<own_answer>> try_parse(core::byte_view body);
  // Sends Parse, Describe and Close messages of the gateway's own; so many of them are of Parse and Close,
  // the last one too.
  boost::asio::awaitable<std::optional<own_answer>> send_own(protocol::byte_buffer messages,
                                                             std::size_t answers, dialogue_end end);
  // Makes the server fail what surrounds the next statement, so that its state is what the client is told: a
  // refused statement in a transaction leaves the transaction failed. The server's error is taken away.
  boost::asio::awaitable<bool> fail(dialogue_end end);

  // The transaction status of the last ReadyForQuery.
  char status() const { return status_; }

 private:
  // By Flush nothing but their number says that all answers are there: `until` of '3', or of '1' and '3'.
  struct expected {
    std::size_t until;
    bool parses;
    bool passes_notices = false;
  };
  boost::asio::awaitable<std::optional<own_answer>> collect(expected answers, dialogue_end end);
  void pass_on(core::byte_view message);
  bool now_ready(core::byte_view message);

  client_session& session_;
  char status_ = 'I';
};

// The first cell that statement number `at` gave is true.
bool is_true(const own_answer& answer, std::size_t at = 0);

// Whether a full name ("schema.name") still means the relation with this oid. None: the session has ended.
boost::asio::awaitable<std::optional<bool>> is_still(server_dialogue& server, std::string_view full_name,
                                                     std::uint32_t oid);

// How the server reads texts now, when that can't be known from what it has reported.
boost::asio::awaitable<std::optional<own_answer>> ask_reading(server_dialogue& server, dialogue_end end);
// Of its answer, if it is ok.
core::reading reading_of(const own_answer& answer);

}  // namespace tidegate::session
