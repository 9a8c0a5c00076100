#pragma once
// One client and its server connection, which is its own or (transaction mode) lent to it, relaying. The data
// path: bytes from the poller -> core::session says how far they go on -> the other channel. A statement that
// wants a decision parks the client's direction and hands the server's to an interception (interception.hpp),
// a coroutine that talks to the server on the client's own connection; when it is done the relay goes on.
//
// Lives on one worker's thread. Kept alive by the worker until it has ended, and by a running interception.

#include "proxy/admin/snapshot.hpp"
#include "proxy/core/session.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/pool/pooled_server.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/session/environment.hpp"
#include "proxy/session/lending.hpp"
#include "proxy/session/session_memory.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace tidegate::session {

// Who the client is, for decisions, limits and logs.
struct client_identity {
  std::string user;
  std::string database;
  std::string identity;  // what was proved at login
  net::peer_address peer;
  bool replication = false;
  std::int64_t background = 0;  // what of tidegate.background the session is there for; 0: a client's own
};

// How another session like this one is logged in at the server.
struct own_login {
  pool::login_request request;
  // The server has checked the client itself (passthrough), so that only the control role's proof is known:
  // such a session takes the client's role by SET ROLE.
  bool as_control_role = false;
};

// What a session needs to begin: the client logged in, and its server or the pool that lends it one.
struct session_start {
  net::released_stream client;
  pool::pooled_server_ptr server;
  std::unique_ptr<lending> lent;
  protocol::byte_buffer client_unread;  // bytes that came behind the client's login
  protocol::byte_buffer server_unread;
  protocol::byte_buffer greeting;  // sent to the client first
  client_identity who;
  pool::value_set server_parameters;  // as the client is greeted with
  char transaction_status = 'I';
  pool::cancel_registration cancel;
  control::control_target_ptr control;  // null: the gateway has no facts of this database
  metrics::session_metrics metrics;
  core::schema_epoch_ptr schema;     // of the database on its server
  std::unique_ptr<own_login> again;  // session mode; null: without a control role nothing is done with it
  std::shared_ptr<void> admission;   // its places in the limits; given back when the session ends
};

using end_reason = metrics::disconnect_reason;

class server_dialogue;

class client_session final : public std::enable_shared_from_this<client_session>,
                             public pool::server_taker,
                             private net::channel_handler {
 public:
  client_session(environment& on, session_start start);
  ~client_session();

  void start();
  // Ends now: the client gets FATAL with these words when it is between messages, and both sides are closed.
  void end(end_reason why, std::string_view sqlstate = {}, std::string_view message = {});
  // End as soon as the client is between transactions, with these words. `message` is static.
  void end_when_at_rest(end_reason why, std::string_view message);
  // Called every second by the worker: the timeouts.
  void tick(std::chrono::steady_clock::time_point now);
  // A CancelRequest of this client arrived. Any thread.
  void note_cancel_request();
  // The gate has opened: held work goes on.
  void gate_opened();

  // For the admin console: which one it is, what it does now, and whether PAUSE has to wait for it.
  std::uint64_t id() const { return id_; }
  void report(admin::worker_snapshot& to) const;
  bool busy() const;
  // RECONNECT: its server is closed as soon as the client is between transactions.
  void renew_server();

  bool ended() const { return ended_; }
  // Once it has.
  end_reason why_ended() const { return why_ended_; }
  const client_identity& who() const { return who_; }
  const core::session& core() const { return core_; }
  environment& on() { return on_; }
  const metrics::session_metrics& metrics() const { return metrics_; }

  // ---- for interceptions: the five primitives (design.md) ----

  const std::string& application() const { return core_.application_name(); }
  // While there is a server: during an interception always.
  std::int32_t backend_pid() const { return server_->backend_pid; }
  pool::pooled_server& server() { return *server_; }
  // Null in session mode.
  session::lending* lent() { return lent_.get(); }
  const control::control_target_ptr& control() const { return control_; }
  core::session& state() { return core_; }

  // Everything sent to the server before has been answered, and the server's bytes are ours from here. Inside
  // an unsynced batch a Flush is sent for it.
  boost::asio::awaitable<bool> take_server();
  // The next message of the server, whole; none when the session ended or the deadline passed. Valid until
  // the next call.
  boost::asio::awaitable<std::optional<core::byte_view>> next_server_message(
      std::chrono::steady_clock::time_point until);
  void send_to_server(core::byte_view bytes);
  void send_to_client(core::byte_view bytes);
  // Forwards one message of the client and relays until the server has answered it: COPY data flows
  // meanwhile.
  boost::asio::awaitable<bool> relay_answer(core::byte_view message);
  // The type of the client's next message, waiting for it if need be; none when the client left or the time
  // passed.
  boost::asio::awaitable<std::optional<char>> peek_client(std::chrono::steady_clock::time_point until);
  // Waits. True: the time passed; false: the client left, or asked to cancel.
  boost::asio::awaitable<bool> pause(std::chrono::steady_clock::duration duration);
  // A message that was taken for an interception is looked at again, before what came behind it.
  void put_back(core::byte_view message);
  std::uint64_t errors_seen() const { return errors_seen_; }  // ErrorResponses relayed so far
  std::uint64_t transactions() const { return transactions_; }
  bool cancel_requested() const { return cancel_requested_; }
  bool client_gone() const { return client_gone_ || ended_; }
  void clear_cancel_request() { cancel_requested_ = false; }
  // The server's pid and key, for a CancelRequest of the gateway's own.
  boost::asio::awaitable<void> cancel_server();
  // Runs a statement of ours once the client's transaction has ended: what was set before it began is put
  // back then.
  void run_when_at_rest(std::string sql) { memory().owed.push_back(std::move(sql)); }
  // The client's statement has changed the schema, or will when its transaction is committed.
  void schema_changed();
  // It will have, when the server says that no transaction is open any more.
  void schema_will_change() { memory().schema_changes = core_.schema() != nullptr; }
  // For a session of the gateway's own that goes on with what this one has asked. None: there can be none.
  std::optional<own_login> login_again() const;
  // What decisions remember of this session; made on first use.
  session_memory& memory();

 private:
  enum class phase : std::uint8_t {
    relaying,   // both directions flow
    waiting,    // for a server of the pool
    draining,   // an interception waits until the server has answered everything
    dialogue,   // the server's bytes go to the interception
    answering,  // an interception's statement is relayed until it is answered
    held,       // the gate is closed
  };

  void on_received(net::channel& from, std::span<const std::byte> bytes) override;
  void on_drained(net::channel& to) override;
  void on_ended(net::channel& from, boost::system::error_code why) override;
  void on_closing(net::channel& from) override;

  void server_ready(pool::pooled_server_ptr server) override;
  void server_failed(const pool::login_failure& why) override;
  bool borrow(core::byte_view bytes);
  void attach(pool::pooled_server_ptr server);
  bool has_values_of_another() const;
  void prepare_server();
  void tell_parameters();
  void note_reported();
  void give_back_if_free();
  void look_at_server(sql::session_effects effects);
  void cancel_waiting();
  void tell_of_waiting(std::chrono::steady_clock::time_point now);
  void check_pins(pins before);
  void run_dialogue(std::function<boost::asio::awaitable<void>(server_dialogue&)> what);
  void join_pool();
  void wait_for_cancel();
  void count_pins(pins now);
  void leave_pool();
  void send_batch(core::byte_view behind);

  void bound_startup_settings();
  void relay_early_bytes();
  bool owes() const { return memory_ && memory_->owes(); }
  void run_owed();
  boost::asio::awaitable<void> settle_trail(server_dialogue& server);
  void tell_ledger(std::vector<control::ddl_entry> changes);
  void settle_deferred(const std::optional<std::string>& marks, const std::optional<std::string>& committed);
  void client_has_ended();
  void server_has_ended();
  bool tell_last_word();
  void from_client(core::byte_view bytes);
  void from_server(core::byte_view bytes);
  core::byte_view relay_client(core::byte_view bytes);
  core::byte_view relay_to_server(core::byte_view bytes);
  void relay_pending();
  void intercept(core::byte_view message, std::optional<core::refusal_reason> refused, std::size_t length);
  void spawn(std::function<boost::asio::awaitable<void>()> what);
  void interception_done();
  void renew();
  void hold(core::byte_view message);
  void fail_copy(char type);
  void hold_is_over();
  void server_answered(const core::server_scan& scan);
  void update_reading();
  void count_as(metrics::client_state state);
  void wake() { signal_.cancel(); }
  boost::asio::awaitable<void> wait_signal(std::chrono::steady_clock::time_point until);

  void end_if_at_rest();

  const std::uint64_t id_;
  const std::chrono::system_clock::time_point connected_at_ = std::chrono::system_clock::now();
  environment& on_;
  client_identity who_;
  core::session core_;
  net::channel client_;
  pool::pooled_server_ptr server_;  // null: none is lent now
  std::unique_ptr<lending> lent_;   // null in session mode
  pool::cancel_registration cancel_;
  control::control_target_ptr control_;
  metrics::session_metrics metrics_;
  metrics::client_state counted_as_ = metrics::client_state::idle;
  std::shared_ptr<void> admission_;
  protocol::byte_buffer greeting_;
  protocol::byte_buffer client_pending_;  // an incomplete message, or what waits behind an interception
  std::size_t client_needed_ = 0;  // how much of it must be there before it is looked at again; 0: unknown
  protocol::byte_buffer server_pending_;  // an incomplete message the session must see whole
  // A server that floods a dialogue of the gateway's own is stopped here; the rest stays in the kernel.
  static constexpr std::size_t inbox_bound = 1 << 20;
  protocol::byte_buffer inbox_;  // the server's bytes during a dialogue
  std::size_t inbox_begin_ = 0;
  boost::asio::steady_timer signal_;  // cancelled whenever something an interception waits for has happened
  phase phase_ = phase::relaying;
  bool examine_ = true;        // policies are on for this session
  bool bounds_ = false;        // the configuration bounds what clients may set
  bool wants_client_ = false;  // peek_client waits
  bool client_gone_ = false;
  bool client_read_ended_ = false;
  bool server_read_ended_ = false;
  bool cancel_requested_ = false;
  bool server_said_why_ = false;  // a FATAL was relayed
  bool ended_ = false;
  bool end_at_rest_ = false;
  end_reason end_at_rest_why_ = end_reason::draining;
  std::string_view end_at_rest_message_;
  bool held_by_pause_ = false;
  bool waits_for_cancel_ = false;
  bool waits_for_answers_ = false;  // what is pending depends on them
  bool query_running_ = false;
  std::unique_ptr<session_memory> memory_;
  char awaiting_type_ = 'Q';  // of the message that waits until the server has answered
  std::uint64_t errors_seen_ = 0;
  std::uint64_t transactions_ = 0;  // ReadyForQuery(idle)s seen: tells one transaction from the next
  std::chrono::steady_clock::time_point last_activity_;
  std::chrono::steady_clock::time_point query_since_;
  std::optional<std::chrono::steady_clock::time_point> held_since_;  // of the statement that is held
  std::optional<std::chrono::steady_clock::time_point> in_transaction_since_;
  std::unique_ptr<own_login> again_;
  end_reason why_ended_ = end_reason::terminated;
};

}  // namespace tidegate::session
