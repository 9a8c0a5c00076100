#pragma once
// The heart of the data path: follows both directions of one session, message by message, in the receive
// buffer, and says how many bytes go on as they are and where a message needs more than forwarding. It copies
// nothing of an ordinary message.
//
// Place in the way of a query: net::poller delivers bytes -> scan_client / scan_server -> the driver
// (proxy/session/client_session) sends the forwarded part and acts on the step. Pure; used by the session's
// thread only.

#include "policies/sql/prefilter.hpp"
#include "protocol/frame.hpp"
#include "proxy/core/new_relations.hpp"
#include "proxy/core/pipeline.hpp"
#include "proxy/core/prepared_statements.hpp"
#include "proxy/core/schema_epochs.hpp"
#include "proxy/core/shared_statements.hpp"
#include "proxy/core/told_results.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  renew,     // what is left starts with a Bind of renewal_name(), which a schema change may have made stale
  malformed,  // no PostgreSQL message can start like this: the connection is beyond repair
  refuse,     // the complete message at the front gets the error that `why` says
  // When servers are shared only:
  flush,         // what was taken is to be sent before the scan goes on with what is left
  wait,          // what is left depends on answers that are under way
  unknown_type,  // the message at the front is of no type that clients send
};

// Of client_step::refuse.
enum class refusal_reason : std::uint8_t {
  name_taken,          // Parse of a name that the client has
  name_unknown,        // a name of the gateway's own that the client has no business with
  too_many_names,      // named statements of one client
  statement_too_long,  // to be examined
  sequence_value,      // currval() of a server that did not run nextval()
  odd_name,            // of a portal of a suspect, beyond ASCII: the server may know it by others
  result_changed,      // by a schema change, from what the client was told
  other_reading,       // the text would be read otherwise than when it was prepared
  names_first,         // not refused: sent on once the client's statements are there under their own names
  reading_first,       // not refused: a Parse, sent on once it is known how the server reads its text
};

struct client_scan {
  std::size_t forward = 0;  // bytes from the front that go to the server now
  client_step step = client_step::done;
  std::size_t length = 0;  // intercept, too_long: of the message; need_more: of the whole message, 0 unknown;
                           // discard: see there
  refusal_reason why = refusal_reason::name_taken;
  // When servers are shared: so many of the bytes to be forwarded stand in the batch (session::share), in the
  // form in which they go. The others go behind them.
  std::size_t written = 0;
};

// What stands between messages that are written anew is copied, so that all goes out in one piece; but for
// more than this another system call is cheaper.
inline constexpr std::size_t most_copied = 16 * 1024;

enum class server_step : std::uint8_t {
  done,
  need_more,  // an incomplete message is left that the session must see whole; it is small, or given up on
  answered,   // every request has been answered: reported only while stop_when_answered is set
  swallow,    // the next five bytes answer a message of the gateway's own: not for the client
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
  bool plan_stale = false;  // one of them said that a prepared statement's result has changed
  bool fatal = false;  // a FATAL or PANIC was among the errors: the server is about to end the connection
};

struct session_limits {
  std::size_t query_buffer = std::size_t{64} << 20;   // longest Query or Parse that is held to be looked at
  std::size_t suspect_bytes = std::size_t{64} << 20;  // prepared statements kept because they may be DDL
  std::size_t pipeline_depth = 1 << 17;               // requests without an answer before reading pauses
  std::size_t suspect_depth = 4096;                   // … that concern suspects
  bool forward_long = false;                          // a longer one is sent on unseen instead of refused
  bool replication = false;                           // a walsender: its own commands are none of ours
  std::size_t named_bytes = std::size_t{64} << 20;  // named statements of one client, when servers are shared
  std::size_t server_statements = 500;              // of one server, when servers are shared
  std::size_t server_statement_bytes = std::size_t{64} << 20;  // … and their texts
};

// What following a client needs in addition when its server is only lent to it.
struct sharing {
  statement_registry* registry = nullptr;
  std::shared_ptr<const std::vector<std::string>> listed_functions;  // that change a session out of sight
  client_statements statements;
  server_statements* on_server = nullptr;  // of the server it has now
  bool unnamed_is_ours = false;            // the server's unnamed statement is what this client last parsed
  std::string meaning;                     // of the client's settings, for the registry
  std::set<std::string, std::less<>> sql_names;  // that SQL's PREPARE made on the server it is pinned to
  sql::session_effects effects;                  // of what was sent since they were last taken
  std::vector<std::string> custom_settings;      // that texts have named
  bool another_came_between = false;  // the server has served somebody else since it served this client
  bool drew = false;                  // something that may call nextval() ran since the server was lent
  bool touched = false;               // … or changed settings
  // The client's statements are on the server under its own names, or at least something is: enough for texts
  // that only drop them.
  bool names_put = false, names_stand = false;
  std::set<std::string, std::less<>> closed_meanwhile;  // of those, what the client has closed since
  struct describe {
    std::uint64_t number = 0;  // in the pipeline
    std::string name = {};     // of the client's
    shared_statement_ptr statement = {};
  };
  fifo<describe> describes;  // of named statements, that wait for their answers
  struct close {
    std::uint64_t number = 0;  // in the pipeline
    std::string name = {};
  };
  fifo<close> closes;       // of sql_names, taken out of them already: put back if the server skips them
  bool unfollowed = false;  // something was sent that no other server can be given

  // Answers that are under way decide about statements, here or on the server.
  bool awaits_answers() const {
    return !closes.empty() || statements.awaits_answers() ||
           (on_server != nullptr && on_server->awaits_answers());
  }
  std::vector<std::pair<std::string, std::string>> reported;  // ParameterStatus, until the driver takes them
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
  // How many of so many bytes are dropped by that.
  std::size_t drop_some(std::size_t available) {
    const std::size_t dropped = std::min(drop_, available);
    drop_ -= dropped;
    return dropped;
  }
  // A held statement was looked at and may pass the gate.
  void pass_gate_once() { gate_passed_ = true; }
  bool passes_gate() const { return gate_passed_; }

  // From here on, statements tell which relations of others they name (new_relations.hpp).
  void watch(new_relations& relations, std::string database, std::string user);

  // Servers are lent to this client: from here on its statements are named for all of them. Messages that
  // scan_client writes anew for that, and those of the gateway's own, are appended to `batch`, which the
  // caller sends and clears.
  void share(statement_registry& registry, std::shared_ptr<const std::vector<std::string>> listed_functions,
             std::size_t server_statements, std::vector<std::byte>& batch);
  // From here on, schema changes are followed: prepared statements that they make stale are renewed.
  void follow(schema_epoch_ptr schema);
  // Null: they are not.
  core::schema_epoch* schema() { return schema_.get(); }
  const std::string& renewal_name() const { return renewal_name_; }
  // Transaction mode: the client's statement of that name, in the meaning that it has now. Null: there is
  // none, or it would be read otherwise.
  shared_statement_ptr statement_now(std::string_view name);
  // … and there is room for one more on the server, when these have been closed.
  std::vector<shared_statement_ptr> make_room();
  told_results& told() { return told_; }
  // Session mode: the schema changes up to this epoch concern the statements of these names, as the server
  // keeps them; each is looked at before its next Bind.
  void stale_since(std::uint64_t epoch, std::set<std::string, std::less<>> names);
  bool is_stale(std::string_view name) const;
  void renewed(std::string_view name);
  std::uint64_t seen_epoch() const { return seen_epoch_; }
  // Session mode: one of them returns something else since, which the client is left to hear from the server.
  void result_has_changed(std::uint64_t epoch) { changed_epoch_ = epoch; }
  // A server has said that a result has changed: whether that tells of a schema change that was not known.
  bool is_news() const;
  const session_limits& limits() const { return limits_; }
  core::sharing* sharing() { return sharing_.get(); }
  const core::sharing* sharing() const { return sharing_.get(); }

  // What the server reported of itself (ParameterStatus); login fills in the first values.
  void server_parameter(std::string_view name, std::string_view value);
  // As reported last: a server reports changes ahead of ReadyForQuery.
  const core::reading& reading() const { return reading_; }
  // The text, sent now, may be read by other settings than are known: statements before it may have changed
  // them.
  bool reading_in_doubt(std::string_view text) const;
  // Null: statements that are under way, or whose batch has no ReadyForQuery yet, may have changed it.
  const core::reading* reading_now() const;
  // The server was asked, and answered for the message that is sent next.
  void asked_reading(core::reading now) { asked_.emplace(pipeline_.next_number(), std::move(now)); }
  const std::string& application_name() const { return application_name_; }

  core::pipeline& pipeline() { return pipeline_; }
  const core::pipeline& pipeline() const { return pipeline_; }
  core::prepared_statements& prepared() { return prepared_; }

  // Too much is in flight: read no more from the client until answers come.
  bool pipeline_full() const {
    return pipeline_.depth() >= limits_.pipeline_depth || prepared_.waiting() >= limits_.suspect_depth;
  }
  // Inside a message whose end has not been sent yet: nothing else may be put into that direction.
  bool inside_client_message() const { return client_rest_ != 0; }
  bool inside_server_message() const { return server_rest_ != 0; }

 private:
  client_scan follow_client(byte_view bytes, bool examine, bool gate_closed);
  // Most messages don't: a Bind while the schema stays as it is, a Describe of a portal.
  bool concerns_schema(char type, byte_view front, std::size_t total) const {
    constexpr std::size_t head = protocol::frame_header_size;
    switch (type) {
      case 'B':
        return schema_->now() != seen_epoch_ || !stale_names_.empty();
      case 'P':
        return !has_named_;
      case 'C':
      case 'D':
        return total > head && (front.size() <= head || static_cast<char>(front[head]) == 'S');
      default:
        return false;
    }
  }
  std::optional<client_scan> follow_statement(byte_view bytes, std::size_t at, char type, std::size_t total);
  bool waits_for_result(std::uint64_t number) const {
    return told_.waits_for(number) ||
           (sharing_ && !sharing_->describes.empty() && sharing_->describes.front().number == number);
  }
  bool waits_for_results() const { return told_.waits() || (sharing_ && !sharing_->describes.empty()); }
  void results_abandoned();
  void tell_result(char type, byte_view message, std::uint64_t before);
  bool suspicious(std::string_view text, sql::suspicion is) const;
  bool suspicious_when_it_runs(std::string_view text, sql::suspicion is) const;
  sql::lexical_settings lexical_now() const;
  bool track(char type, byte_view message, bool examine);  // true: intercept
  suspect keep(std::string_view text) const;               // to be judged when it runs; before it is sent
  // How a message goes on that concerns prepared statements.
  enum class shared_as : std::uint8_t {
    it_is,     // unchanged; the caller records it
    recorded,  // unchanged, and recorded
    stopped,   // as the client_scan says
  };
  shared_as share_message(byte_view bytes, std::size_t at, char type, std::size_t total, bool examine,
                          client_scan& stop);
  shared_as share_parse(byte_view bytes, std::size_t at, std::size_t total, bool examine, client_scan& stop);
  shared_as share_named(byte_view bytes, std::size_t at, char type, std::size_t total, client_scan& stop);
  bool batch_is_long(std::size_t at) const;
  void write_until(byte_view bytes, std::size_t end);
  std::size_t rename(byte_view bytes, std::size_t at, std::size_t name_end, std::size_t total,
                     std::string_view from, std::string_view to);
  bool awaits_answers() const { return !prepared_.empty() || (sharing_ && sharing_->awaits_answers()); }
  void settle(char type, std::uint64_t before);
  sql::assessment assess(std::string_view text) const;
  void prepare_on_server(const shared_statement& statement);
  void collect_settings(sql::session_effects effects, std::string_view text);
  void own_message(char type, std::string_view name, byte_view body);
  bool may_tell_another_value(sql::session_effects effects) const;
  bool needs_names(sql::session_effects effects) const;
  void run_with(sql::session_effects effects);
  std::string meaning_now() const;
  bool note_effects(sql::session_effects effects, std::string_view text);

  void tell_names(std::string_view text) {
    if (new_relations_ != nullptr && new_relations_->any())
      new_relations_->seen(database_, text, lexical_now(), {user_, application_name_});
  }

  session_limits limits_;
  core::pipeline pipeline_;
  core::prepared_statements prepared_;
  core::reading reading_;
  std::optional<std::pair<std::uint64_t, core::reading>> asked_;
  std::string application_name_;
  std::size_t client_rest_ = 0;  // of the message being forwarded
  std::size_t server_rest_ = 0;
  std::size_t drop_ = 0;
  new_relations* new_relations_ = nullptr;
  std::string database_, user_;
  bool discarding_ = false;
  bool gate_passed_ = false;
  schema_epoch_ptr schema_;
  std::uint64_t seen_epoch_ = 0, changed_epoch_ = 0;
  std::set<std::string, std::less<>> stale_names_;
  bool has_named_ = false;  // session mode: it has prepared statements with names
  told_results told_;
  std::string renewal_name_;
  std::unique_ptr<core::sharing> sharing_;
  std::vector<std::byte>* batch_ = nullptr;  // of share()
  std::size_t written_ = 0;                  // client_scan::written, of the scan at hand
  std::optional<refusal_reason> refused_;    // of the message that track() has stopped
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
