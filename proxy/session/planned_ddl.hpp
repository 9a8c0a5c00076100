#pragma once
// A plan carried out on the client's own connection: one statement of the client's, several steps, one
// CommandComplete. Each step is run as guarded DDL, CONCURRENTLY, or in batches; what is done is written down
// (control/plan_ledger.hpp), so that the same statement, sent again, goes on where an interruption stopped
// it.
//
//   lock -> interrupted before? -> write down -> step, step, … -> answer
//                                               | an error: what was done is taken back, the client gets the
//                                               error | cancelled, or no lock to be had: what is done stands,
//                                               the client is told
//
// One plan per table at a time, by an advisory lock of the client's server connection, which ends with it.

#include "policies/plan/planner.hpp"
#include "proxy/control/plan_ledger.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;
class interception;

class planned_ddl {
 public:
  // `statement`: its text as the client wrote it.
  planned_ddl(interception& of, policies::plan plan, std::string_view statement);

  // Outside a transaction; what the client sent before has been answered. False: it had to wait for another
  // plan, so that what is known of the database is old: decide again.
  boost::asio::awaitable<bool> run();

  // The plan of the same statement that was interrupted, restored. None: there is none, or somebody works on
  // it.
  static boost::asio::awaitable<std::optional<planned_ddl>> find_interrupted(
      interception& of, const policies::relation_facts& relation, std::string_view statement,
      std::string tag);

 private:
  enum class step_end : std::uint8_t { done, failed, stopped, session_ended };

  boost::asio::awaitable<bool> run_shown();
  enum class locking : std::uint8_t { at_once, after_waiting, answered };
  boost::asio::awaitable<locking> lock();
  boost::asio::awaitable<void> carry_out();
  boost::asio::awaitable<bool> stands_as_written();
  boost::asio::awaitable<void> unlock();
  boost::asio::awaitable<void> write_down();
  boost::asio::awaitable<step_end> carry_out_step(std::size_t number);
  boost::asio::awaitable<step_end> guarded(const policies::plan_step& step);
  boost::asio::awaitable<step_end> concurrent(const policies::plan_step& step);
  boost::asio::awaitable<step_end> fill(const policies::plan_step& step);
  step_end replaced();
  boost::asio::awaitable<void> take_back(std::size_t steps);
  boost::asio::awaitable<bool> undo(const policies::plan_step& step);
  boost::asio::awaitable<std::optional<bool>> names_stand();
  boost::asio::awaitable<void> mark(std::size_t number, std::string_view state);
  boost::asio::awaitable<void> mark_plan(std::string_view state);
  boost::asio::awaitable<void> answer_done();
  boost::asio::awaitable<void> answer_error(report what);
  step_end fail(const unit_answer& answer, const policies::plan_step& step);
  report stopped_report() const;
  std::unique_ptr<control::querier> ledger() const;

  interception& of_;
  client_session& session_;
  server_dialogue& server_;
  policies::plan plan_;
  std::string statement_;
  std::int64_t id_ = 0;                      // in the ledger; 0: not written down
  bool interrupted_ = false;                 // it was begun before
  std::vector<bool> done_;                   // of the steps
  std::optional<std::size_t> in_doubt_;      // was running when it was interrupted
  std::string lost_;                         // the relation that no longer has its name
  report failure_;                           // of the step that failed or stopped
  std::vector<std::string> not_taken_back_;  // SQL that is left to do after a failure
};

}  // namespace tidegate::session
