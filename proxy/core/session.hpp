#pragma once
// The heart of the data path: follows both directions of one session, message by message, in the receive
// buffer, and says how many bytes go on as they are and where a message needs more than forwarding. It copies
// nothing of an ordinary message.
//
// Place in the way of a query: net::poller delivers bytes -> scan_client / scan_server -> the driver
// (proxy/session/client_session) sends the forwarded part and acts on the step. Pure; used by the session's
// thread only.

#include "policies/sql/prefilter.hpp"
#include "proxy/core/new_relations.hpp"
#include "proxy/core/pipeline.hpp"
#include "proxy/core/prepared_statements.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tidegate::core {

using byte_view = std::span<const std::byte>;

enum class client_step : std::uint8_t {
  done,       // everything given was taken
  need_more,  // an incomplete message is left that must be seen whole
  intercept,  // the complete message at the front of what is left wants a decision before it is sent
  hold,       // the gate is closed: what is left starts with new work
  discard,    // the next `length` bytes are dropped (the rest of an over-long message, or a batch skipped by
              // the gateway)
  too_long,  // a Query or Parse beyond the bound: its first bytes are left; it is to be refused and discarded
  malformed,  // no PostgreSQL message can start like this: the connection is beyond repair
};

struct client_scan {
  std::size_t forward = 0;  // bytes from the front that go to the server now
  client_step step = client_step::done;
  std::size_t length = 0;  // intercept, too_long: of the message; need_more: of the whole message, 0 unknown;
                           // discard: see there
};

enum class server_step : std::uint8_t {
  done,
  need_more,  // an incomplete message is left that the session must see whole; it is small, or given up on
  answered,   // every request has been answered: reported only while stop_when_answered is set
  malformed,
};

struct server_scan {
  std::size_t forward = 0;
  server_step step = server_step::done;
  bool ready = false;                              // a ReadyForQuery was among them
  std::uint32_t queries_ready = 0;                 // how many
  std::uint32_t errors = 0;                        // ErrorResponses
  std::array<std::array<char, 5>, 4> sqlstates{};  // of the first of them; NULs when it was not to be seen
  bool parameter_changed = false;
  bool fatal = false;  // a FATAL or PANIC was among the errors: the server is about to end the connection
};

struct session_limits {
  std::size_t query_buffer = std::size_t{64} << 20;   // longest Query or Parse that is held to be looked at
  std::size_t suspect_bytes = std::size_t{64} << 20;  // prepared statements kept because they may be DDL
  std::size_t pipeline_depth = 1 << 17;               // requests without an answer before reading pauses
  bool forward_long = false;                          // a longer one is sent on unseen instead of refused
  bool replication = false;                           // a walsender: its own commands are none of ours
};

class session {
 public:
  explicit session(const session_limits& limits = {}) : limits_(limits) {}

  // `examine`: false forwards everything (policies off, replication connections). `gate_closed`: new work
  // outside a transaction is to be held.
  client_scan scan_client(byte_view bytes, bool examine, bool gate_closed);
  // While an intercepted statement runs: what the server reads as COPY data goes on, everything else is left.
  // `hold`: the COPY was not ended before.
  client_scan scan_copy(byte_view bytes);
  server_scan scan_server(byte_view bytes, bool stop_when_answered);

  // A message that scan_client left for a decision is sent after all, unchanged or replaced by one of the
  // same type.
  void forwarded(byte_view message);
  // Drop the client's messages up to its next Sync: the gateway refused one of a batch that the server does
  // not skip itself.
  void discard_until_sync() { discarding_ = true; }
  // The bytes of a message whose head was left (too_long) are dropped as they come.
  void discard_message(std::size_t length) { drop_ = length; }
  // A held statement was looked at and may pass the gate.
  void pass_gate_once() { gate_passed_ = true; }

  // From here on, statements tell which relations of others they name (new_relations.hpp).
  void watch(new_relations& relations, std::string database, std::string user);

  // What the server reported of itself (ParameterStatus); login fills in the first values.
  void server_parameter(std::string_view name, std::string_view value);
  const sql::lexical_settings& lexical() const { return lexical_; }
  const std::string& client_encoding() const { return client_encoding_; }
  const std::string& application_name() const { return application_name_; }

  core::pipeline& pipeline() { return pipeline_; }
  const core::pipeline& pipeline() const { return pipeline_; }
  core::prepared_statements& prepared() { return prepared_; }

  // Too much is in flight: read no more from the client until answers come.
  bool pipeline_full() const { return pipeline_.depth() >= limits_.pipeline_depth; }
  // Inside a message whose end has not been sent yet: nothing else may be put into that direction.
  bool inside_client_message() const { return client_rest_ != 0; }
  bool inside_server_message() const { return server_rest_ != 0; }

 private:
  bool suspicious(std::string_view text) const;
  bool track(char type, byte_view message, bool examine);  // true: intercept

  void tell_names(std::string_view text) {
    if (new_relations_ != nullptr && new_relations_->any())
      new_relations_->seen(database_, text, lexical_, {user_, application_name_});
  }

  session_limits limits_;
  core::pipeline pipeline_;
  core::prepared_statements prepared_;
  sql::lexical_settings lexical_;
  std::string client_encoding_ = "UTF8";
  std::string application_name_;
  std::size_t client_rest_ = 0;  // of the message being forwarded
  std::size_t server_rest_ = 0;
  std::size_t drop_ = 0;
  new_relations* new_relations_ = nullptr;
  std::string database_, user_;
  bool discarding_ = false;
  bool gate_passed_ = false;
};

// The text of a Query ("Q") or Parse ("P") message; for Parse also its name. Empty view and false when
// malformed.
struct message_text {
  std::string_view name;
  std::string_view text;
  bool valid = false;
};
message_text text_of(byte_view message);

}  // namespace tidegate::core
