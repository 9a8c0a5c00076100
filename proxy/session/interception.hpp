#pragma once
// What happens to a statement that the pre-filter did not call harmless: parse -> names and facts -> rules ->
// verdict -> run, guard, rewrite or refuse. A coroutine on the session's thread; the client's direction is
// parked meanwhile, everything before the statement has been answered, everything behind it waits.
//
// interception_reading.cpp reads the message, interception.cpp comes to a decision and picks the way;
// interception_plan.cpp does so where the verdict is a plan, interception_background.cpp where its client
// does not wait. interception_answers.cpp answers, interception_vouching.cpp vouches to the server guard,
// interception_ledger.cpp tells the ledger. The ways are guarded_ddl.cpp, concurrent_index.cpp,
// planned_ddl.cpp and setting_bounds.cpp.

#include "config/settings.hpp"
#include "policies/engine.hpp"
#include "policies/ledger/fate.hpp"
#include "policies/ledger/inverse.hpp"
#include "policies/plan/plan.hpp"
#include "policies/sql/parse.hpp"
#include "protocol/bytes.hpp"
#include "proxy/admin/ddl_board.hpp"
#include "proxy/audit/audit_record.hpp"
#include "proxy/control/catalog_reader.hpp"
#include "proxy/control/ddl_ledger.hpp"
#include "proxy/session/server_dialogue.hpp"
#include "proxy/session/vouching.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;
struct background_statement;
struct report;

class interception {
 public:
  // `message`: a Query, a Parse whose text can't be kept, or an Execute; whole, unless it is too long (then
  // its header). `refused`: there is nothing to decide.
  interception(client_session& session, protocol::byte_buffer message,
               std::optional<core::refusal_reason> refused, std::size_t length);

  boost::asio::awaitable<void> run();

 private:
  friend class guarded_ddl;
  friend class concurrent_index;
  friend class planned_ddl;

  struct decided {
    const sql::statement* statement;
    std::string_view text;
    std::string_view commented;  // its text with the comments around it
    policies::decision decision;
    policies::inverse undo;  // of what the ledger records
  };

  bool is_execute() const { return static_cast<char>(message_[0]) == 'E'; }
  dialogue_end own_end() const;

  boost::asio::awaitable<void> refuse_message();
  boost::asio::awaitable<void> refuse_taken_name();
  boost::asio::awaitable<void> refuse_parse();
  boost::asio::awaitable<void> handle_with_names();
  boost::asio::awaitable<void> put_names_first();
  boost::asio::awaitable<void> handle();
  bool names_statements() const;
  boost::asio::awaitable<bool> find_reading();
  boost::asio::awaitable<bool> read_text();
  boost::asio::awaitable<bool> parse();
  boost::asio::awaitable<void> unparsable();
  void follow_executes();
  boost::asio::awaitable<bool> read_facts();
  boost::asio::awaitable<std::optional<bool>> must_not_read();
  bool speaks_utf8() const;
  bool to_client_encoding(std::vector<std::string>& texts) const;
  void from_client_encoding(control::text_rows& rows) const;
  void mark_fresh(const policies::fact_request& request);
  bool is_temporary(const sql::statement& s) const;
  bool existed(const sql::statement& s) const;
  bool changes_schema() const;
  bool keeps_ledger() const;
  boost::asio::awaitable<void> decide();

  boost::asio::awaitable<void> carry_out();
  boost::asio::awaitable<void> carry_out_plan(const decided& d);
  boost::asio::awaitable<void> carry_out_plan(const decided& d, report refusal, policies::ddl_mode mode);
  bool may_have_plan() const;
  boost::asio::awaitable<bool> go_on_with_plan();
  boost::asio::awaitable<bool> is_outside_transaction();
  boost::asio::awaitable<bool> carry_out_later(const decided& d);
  boost::asio::awaitable<void> decide_again();
  boost::asio::awaitable<std::optional<std::string>> session_ddl_mode();
  struct chosen_mode {
    policies::ddl_mode mode;
    std::string_view why_plan;  // of mode plan: who says so; static storage
  };
  boost::asio::awaitable<std::optional<chosen_mode>> ddl_mode_of(const decided& d, report refusal);
  bool may_override() const;
  boost::asio::awaitable<std::optional<bool>> owns(const policies::plan& plan);
  // How long a statement may wait for others: the policy's bound, or less where the client asks for less.
  std::chrono::milliseconds wait_budget(std::chrono::milliseconds most) const;
  boost::asio::awaitable<void> refuse(const policies::decision& decision);
  boost::asio::awaitable<void> refuse(const report& what);
  boost::asio::awaitable<void> refuse_undecided(const report& what);
  boost::asio::awaitable<void> fail_with(const protocol::byte_buffer& server_error);
  // Sends the client's message as it is, and its answer to the client; vouched for where the server guard
  // would ask.
  boost::asio::awaitable<void> forward();
  // The same without a vouch: the server needs none, or has one.
  boost::asio::awaitable<void> relay();
  // An Execute that is alone before its Sync may be one that PostgreSQL runs only as the first thing of its
  // transaction (VACUUM, CONCURRENTLY, CREATE DATABASE): our own look-ups came first, so the batch is ended
  // and the portal bound again. False: that can't be done, or need not be.
  boost::asio::awaitable<bool> begin_afresh();
  boost::asio::awaitable<void> run_afresh();
  // The token that the server guard wants to see before it lets the message run; empty: there is no guard, or
  // nothing for it to see.
  boost::asio::awaitable<std::string> vouch();
  control::vouch_covers covered() const;
  // How long it is to be set: no longer than the transaction, unless the message itself ends that.
  vouch_lasts vouch_lasts_for() const;
  // Takes back one that was set for the session, at once or when the transaction that the message began ends.
  boost::asio::awaitable<void> take_vouch_back();
  // The client's statement as messages that end in one ReadyForQuery and can be sent any number of times.
  protocol::byte_buffer statement_unit() const;
  // The end of a statement whose answer was kept.
  void answer_succeeded(const unit_answer& answer);
  void answer_failed(const unit_answer& answer);
  boost::asio::awaitable<void> refuse_statement(const report& what);
  boost::asio::awaitable<void> bound_settings();
  void warn();
  void remember(bool succeeded);
  boost::asio::awaitable<void> tell_audit();
  audit::audit_record new_record(std::string statement) const;

  // interception_background.cpp
  boost::asio::awaitable<void> run_in_background(const decided& d);
  boost::asio::awaitable<void> defer(const decided& d);
  boost::asio::awaitable<std::optional<background_statement>> background_of(const decided& d,
                                                                            const report& refusal);
  boost::asio::awaitable<bool> write_down(background_statement& what, const report& refusal);
  void answer_postponed(std::string_view tag);

  // interception_ledger.cpp
  boost::asio::awaitable<bool> mark_changes();
  policies::inverse undo_of(const policies::rule_input& input) const;
  bool is_recorded(const decided& d) const;
  control::ddl_entry ledger_entry(const decided& d) const;
  void tell_ledger();

  report to_report(const policies::refusal& refusal) const;
  // In SHOW DDL, until shown_ is reset.
  void show(std::string_view statement);
  void show_step(std::string_view what, unsigned attempts);

  client_session& session_;
  server_dialogue server_;
  vouching vouching_;
  std::shared_ptr<const config::settings> settings_;
  protocol::byte_buffer message_;
  std::optional<core::refusal_reason> refused_;
  std::size_t length_;
  std::string text_;              // as the client wrote it
  core::reading reading_;         // … and the server reads it, or has read it when it was prepared
  core::reading server_reading_;  // how the server reads what comes now
  std::string parsed_text_;       // the same in UTF-8, where it is parsed so; else empty
  protocol::byte_buffer bind_;    // of an Execute: its Bind, to bind again; empty when it was too big
  sql::parsed parsed_;
  std::vector<std::pair<std::string, sql::parsed>> executed_;  // what SQL's EXECUTE runs, with its text
  control::facts facts_;
  control::resolved_names names_;
  bool names_known_ = false;
  std::string lock_timeout_ = "0";  // the client's own, to be put back
  std::size_t too_many_ = 0;        // statements in the message, when they are not examined for that
  bool server_has_failed_ = false;  // trying the text left the server skipping to the client's Sync
  std::vector<decided> decisions_;
  policies::transaction_history history_;
  policies::session_facts who_;  // as the decisions saw it
  std::chrono::steady_clock::time_point began_;

  // For the audit log and metrics.
  audit::action_taken action_ = audit::action_taken::forwarded;
  audit::outcome outcome_ = audit::outcome::unknown;
  std::string sqlstate_;
  unsigned attempts_ = 0;
  std::chrono::microseconds lock_wait_{0};

  // For the ledger.
  std::uint64_t mark_ = 0;  // that was set before the statement ran; 0: none
  std::int64_t plan_ = 0;   // in tidegate.plan
  bool plan_stands_by_halves_ = false;
  bool plan_was_resumed_ = false;

  // For SHOW DDL.
  std::optional<admin::ddl_board::place> shown_;
  std::string shown_step_;  // of a plan, in front of what its step does
};

}  // namespace tidegate::session
