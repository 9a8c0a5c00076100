#pragma once
// DDL that takes a strong lock, carried out so that it stalls nobody: look for blockers -> close the gate ->
// lock_timeout of 50 ms
// -> run -> open; back off and try again (transitions.md §12). On the client's own server connection.
//
// Three shapes, by where the statement stands:
//   outside a transaction      BEGIN; set_config('lock_timeout', …, local); the statement; COMMIT. Its answer
//   is passed on after COMMIT. inside a transaction       SAVEPOINT; the same; RELEASE, or ROLLBACK TO and
//   again, within a smaller budget. among other statements     (of one simple query, or of a batch before its
//   Sync): one attempt, since what was half answered is never
//                              replayed; lock_timeout is set around it.

#include "policies/engine.hpp"
#include "policies/lock_timeout_changes.hpp"
#include "proxy/control/blockers.hpp"
#include "proxy/control/control_plane.hpp"
#include "proxy/core/gate.hpp"
#include "proxy/core/guard.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/server_dialogue.hpp"
#include "proxy/session/vouching.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class interception;

// What is run under guard: the client's statement, or a step of a plan for it.
struct guarded_work {
  protocol::byte_buffer messages;  // end in one ReadyForQuery; sent any number of times
  std::vector<policies::relation_lock> locks;
  std::string_view text;      // lives as long as the work
  bool may_run_long = false;  // it scans or rewrites: its wait is bounded, its run is not
};

enum class guarded_end : std::uint8_t {
  succeeded,
  failed,     // the server's error
  gave_up,    // no lock within the budget
  cancelled,  // by the client, while it waited
  ended,      // the session has
  answered,   // among other statements: relayed as it came
};

class guarded_ddl {
 public:
  // The client's statement.
  explicit guarded_ddl(interception& of);
  // A step of a plan: in a transaction of its own, outside any of the client's.
  guarded_ddl(interception& of, guarded_work step);

  // Runs the client's statement and answers the client.
  boost::asio::awaitable<void> run();
  // Runs the step. The client hears NOTICEs only.
  boost::asio::awaitable<guarded_end> run_step();

  // After run_step(): what the server answered last.
  const unit_answer& last() const { return last_; }
  // Why a step came to nothing, in the words for the client.
  report why_not(bool cancelled) const;

 private:
  using clock = std::chrono::steady_clock;

  enum class shape : std::uint8_t { own_transaction, savepoint, session_setting, once };
  enum class attempt_result : std::uint8_t { succeeded, blocked, failed, session_ended };

  boost::asio::awaitable<guarded_end> try_until_done(shape how);
  // Statements of ours that go before an attempt, with the vouch as the last.
  std::vector<own_statement> before(std::vector<std::string> sql, vouch_lasts how_long) const;
  boost::asio::awaitable<shape> choose_shape();
  boost::asio::awaitable<bool> precheck(shape how);
  boost::asio::awaitable<attempt_result> attempt(shape how);
  boost::asio::awaitable<attempt_result> attempt_in_own_transaction();
  boost::asio::awaitable<attempt_result> attempt_under_savepoint();
  boost::asio::awaitable<attempt_result> attempt_with_session_setting();
  boost::asio::awaitable<void> run_once();
  boost::asio::awaitable<void> relay_with_lock_timeout(vouch_lasts how_long);
  bool take_over_lock_timeout();
  std::string lock_timeout_afterwards(bool in_block, const std::string& put_back) const;
  boost::asio::awaitable<bool> wait_out_autovacuum();
  boost::asio::awaitable<std::optional<unit_answer>> send_statement();

  void find_locks(const std::vector<policies::relation_lock>& locks);
  struct closed_gates {
    control::held_elsewhere elsewhere;
    core::gate::closure here;
  };
  boost::asio::awaitable<closed_gates> close_gates();
  void tell_waiting(clock::time_point now);
  attempt_result judge(const unit_answer& answer);
  std::string lock_timeout_text() const;
  const std::string& previous_lock_timeout() const;
  static bool may_run_long(const interception& of);
  bool runs_in_transaction_block() const;

  interception& of_;
  client_session& session_;
  server_dialogue& server_;
  guarded_work work_;
  std::vector<control::wanted_lock> wanted_;
  std::vector<std::string> gate_names_;
  std::vector<std::string> tables_;  // "schema.name", quoted: what may be locked against autovacuum
  control::blockers blockers_;
  std::optional<core::guard> guard_;
  policies::lock_timeout_changes changes_;  // of a message with other statements
  std::string vouch_;                       // for the server guard, of every attempt; empty: it needs none
  unit_answer last_;
  bool autovacuum_ = false;  // nothing but ordinary autovacuum is in the way
};

}  // namespace tidegate::session
