#include "proxy/session/planned_ddl.hpp"

#include "policies/plan/restore.hpp"
#include "policies/sql/parse.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/batch_filling.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/concurrent_build.hpp"
#include "proxy/session/guarded_ddl.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/own_messages.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::session {
namespace {

namespace sqlstate = protocol::sqlstate;
using policies::plan_step;
using policies::step_kind;

constexpr std::string_view lock_class = "1953064037";  // "tide"
constexpr std::chrono::milliseconds look_again{500};
constexpr std::chrono::seconds tell_again{5};

report report_of(const unit_answer& answer) {
  const auto field = [&](char letter) { return std::string(field_of(answer.error, letter)); };
  return {.sqlstate = answer.sqlstate,
          .message = field('M'),
          .detail = field('D'),
          .hint = field('H'),
          .schema = field('s'),
          .table = field('t'),
          .column = field('c'),
          .constraint = field('n')};
}

// Who holds the lock of advisory().
std::string holder_of(std::uint32_t relation) {
  return "SELECT l.pid FROM pg_catalog.pg_locks AS l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND "
         "l.granted AND l.classid OPERATOR(pg_catalog.=) " +
         std::string(lock_class) + "::pg_catalog.oid AND l.objid OPERATOR(pg_catalog.=) " +
         std::to_string(relation) +
         "::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) 2 AND l.database OPERATOR(pg_catalog.=) "
         "(SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) "
         "pg_catalog.current_database()) LIMIT 1";
}

std::string advisory(std::string_view function, std::uint32_t relation) {
  return "SELECT pg_catalog." + std::string(function) + "(" + std::string(lock_class) + ", " +
         std::to_string(static_cast<std::int32_t>(relation)) + ")";
}

// It reads every row under a lock that lets reads and writes go on.
bool validates(const sql::statement& statement) {
  const auto* alter = statement.as<sql::alter_table>();
  return alter != nullptr && alter->commands.size() == 1 &&
         alter->commands.front().action == sql::alter_action::validate_constraint;
}

void add_line(std::string& text, const std::string& line) {
  text += (text.empty() ? "" : "\n") + line;
}

}  // namespace

planned_ddl::planned_ddl(interception& of, policies::plan plan, std::string_view statement)
    : of_(of),
      session_(of.session_),
      server_(of.server_),
      plan_(std::move(plan)),
      statement_(control::as_written_down(statement)),
      done_(plan_.steps.size(), false) {}

boost::asio::awaitable<bool> planned_ddl::run() {
  of_.action_ = audit::action_taken::planned;
  of_.show(statement_);
  const bool finished = co_await run_shown();
  of_.shown_.reset();
  of_.shown_step_.clear();
  co_return finished;
}

boost::asio::awaitable<bool> planned_ddl::run_shown() {
  // A Parse and Bind of the same batch have opened an implicit transaction.
  if (session_.state().pipeline().unsynced() && !co_await server_.synchronise()) co_return true;
  const locking got = co_await lock();
  if (got == locking::answered) co_return true;
  if (got == locking::after_waiting) {
    co_await unlock();
    co_return session_.ended();
  }
  if (interrupted_ && !co_await stands_as_written()) {
    co_await mark_plan("failed");
    co_await unlock();
    co_return session_.ended();
  }
  if (session_.ended()) co_return true;
  if (interrupted_) {
    const auto finished = static_cast<std::size_t>(std::count(done_.begin(), done_.end(), true));
    session_.send_to_client(notice(said("going on with plan " + std::to_string(id_) +
                                        ", which was interrupted: " + std::to_string(finished) + " of " +
                                        std::to_string(done_.size()) + " steps are done")));
    co_await mark_plan("running");
  } else {
    co_await write_down();
  }
  if (!session_.ended()) co_await carry_out();
  co_return true;
}

boost::asio::awaitable<void> planned_ddl::carry_out() {
  of_.plan_ = id_;
  of_.plan_was_resumed_ = interrupted_;
  of_.plan_stands_by_halves_ = true;
  step_end end = step_end::done;
  std::size_t number = 0;
  for (; number < plan_.steps.size() && end == step_end::done; ++number) {
    if (done_[number]) continue;
    end = co_await carry_out_step(number);
  }
  switch (end) {
    case step_end::done:
      of_.plan_stands_by_halves_ = false;
      co_await mark_plan("done");
      co_await unlock();
      if (!session_.ended()) co_await answer_done();
      co_return;
    case step_end::failed: {
      co_await take_back(number);
      if (session_.ended()) co_return;
      session_.schema_changed();  // there and back, perhaps
      of_.plan_stands_by_halves_ = !not_taken_back_.empty();
      co_await mark_plan(not_taken_back_.empty() ? "failed" : "stopped");
      co_await unlock();
      report what = std::move(failure_);
      if (!not_taken_back_.empty()) {
        add_line(what.detail, "What was done before could not all be taken back.");
        std::string hint = "To take it back:";
        for (const auto& sql : not_taken_back_) hint += "\n" + sql + ";";
        add_line(what.hint, hint);
      }
      if (!session_.ended()) co_await answer_error(std::move(what));
      co_return;
    }
    case step_end::stopped: {
      session_.schema_changed();
      co_await mark_plan("stopped");
      // Before the client's connection is let go: the server's may serve others afterwards.
      co_await unlock();
      if (session_.client_gone()) co_return session_.end(end_reason::client_gone);
      session_.clear_cancel_request();
      of_.plan_stands_by_halves_ = std::find(done_.begin(), done_.end(), true) != done_.end();
      report what = stopped_report();
      if (!session_.ended()) co_await answer_error(std::move(what));
      co_return;
    }
    case step_end::session_ended:
      co_return;
  }
}

// ---- who works on it ----

boost::asio::awaitable<planned_ddl::locking> planned_ddl::lock() {
  using clock = std::chrono::steady_clock;
  const auto began = clock::now();
  const auto until = began + of_.wait_budget(of_.settings_->locks.ddl_wait_budget);
  std::optional<clock::time_point> told;
  std::string holder;
  for (;;) {
    const auto got =
        co_await server_.run_sql(dialogue_end::sync, advisory("pg_try_advisory_lock", plan_.relation_oid),
                                 holder_of(plan_.relation_oid));
    if (!got) co_return locking::answered;
    if (!got->ok()) {
      co_await of_.fail_with(got->error);
      co_return locking::answered;
    }
    if (is_true(*got)) co_return told ? locking::after_waiting : locking::at_once;
    if (got->rows.size() == 2 && !got->rows.back().empty())
      holder = " (pid " + control::text(got->rows.back().front(), 0) + ")";
    const auto now = clock::now();
    if (!told || now - *told > tell_again) {
      told = now;
      of_.show_step("waits for another plan" + holder, 0);
      session_.send_to_client(
          notice(said("waiting for another plan that works on " + plan_.relation + holder)));
    }
    const bool waited = co_await session_.pause(look_again);
    if (waited && clock::now() < until) continue;
    if (session_.client_gone()) {
      session_.end(end_reason::client_gone);
      co_return locking::answered;
    }
    report what{.detail = "It was waiting for another plan that works on " + plan_.relation + holder +
                          ", and has changed nothing."};
    if (waited) {
      what.sqlstate = sqlstate::lock_not_available;
      what.message =
          "another plan has worked on " + plan_.relation + " for " +
          control::human_duration(std::chrono::duration_cast<std::chrono::milliseconds>(now - began)) +
          " and is not done";
      what.hint = "Try again when it is; tidegate.plan shows how far it is.";
    } else {
      session_.clear_cancel_request();
      what.sqlstate = sqlstate::query_canceled;
      what.message = "canceling statement due to user request";
    }
    co_await answer_error(std::move(what));
    co_return locking::answered;
  }
}

boost::asio::awaitable<void> planned_ddl::unlock() {
  if (session_.ended()) co_return;
  co_await server_.run_sql(dialogue_end::sync, advisory("pg_advisory_unlock", plan_.relation_oid));
}

// ---- the ledger ----

std::unique_ptr<control::querier> planned_ddl::ledger() const {
  return session_.on().shared.control.querier_for(*session_.control());
}

boost::asio::awaitable<std::optional<planned_ddl>> planned_ddl::find_interrupted(
    interception& of, const policies::relation_facts& relation, std::string_view statement, std::string tag) {
  std::optional<planned_ddl> found;
  const auto source = of.session_.on().shared.control.querier_for(*of.session_.control());
  const std::string text(control::as_written_down(statement));
  auto begun = co_await control::find_interrupted_plan(*source, relation.oid, text);
  if (of.session_.ended() || !begun || !*begun) co_return found;
  control::interrupted_plan& written = **begun;
  policies::plan plan;
  plan.relation = relation.full_name();
  plan.relation_oid = relation.oid;
  plan.tag = std::move(tag);
  for (const policies::written_step& step : written.steps) {
    auto restored = policies::restore_step(step, relation, of.facts_.snapshot);
    if (!restored) co_return found;
    plan.steps.push_back(std::move(*restored));
  }
  found.emplace(of, std::move(plan), text);
  found->id_ = written.id;
  found->interrupted_ = true;
  found->done_ = std::move(written.finished);
  const auto first = std::find(found->done_.begin(), found->done_.end(), false);
  if (first != found->done_.end()) found->in_doubt_ = static_cast<std::size_t>(first - found->done_.begin());
  co_return found;
}

// What the last step that took effect has made is still there: nobody has taken the plan back by hand.
boost::asio::awaitable<bool> planned_ddl::stands_as_written() {
  const auto source = ledger();
  for (std::size_t i = plan_.steps.size(); i-- > 0;) {
    if (plan_.steps[i].done.empty()) continue;
    if (in_doubt_ == i) {  // done, and not yet written down? It may have taken away what the one before made
      const auto stands = co_await control::took_effect(*source, plan_.steps[i].done);
      if (stands && *stands) co_return true;
    }
    if (!done_[i]) continue;
    const auto stands = co_await control::took_effect(*source, plan_.steps[i].done);
    co_return stands.value_or(false);
  }
  co_return true;
}

boost::asio::awaitable<void> planned_ddl::write_down() {
  const std::size_t steps = plan_.steps.size();
  session_.send_to_client(
      notice(said(plan_.tag + " is carried out in " + std::to_string(steps) +
                  (steps == 1 ? " step" : " steps") + ", so that reads and writes go on")));
  const control::plan_owner owner{.statement = statement_,
                                  .role = of_.names_.session.current_user,
                                  .application = session_.application(),
                                  .backend_pid = session_.backend_pid()};
  const auto source = ledger();
  const auto made = co_await control::record_plan(*source, plan_, owner);
  if (session_.ended()) co_return;
  if (made) {
    id_ = *made;
    co_return;
  }
  session_.send_to_client(
      notice(said("the steps can't be written down in schema tidegate (" + made.error().message +
                      "): if they are interrupted, they can't be gone on with",
                  made.error().sqlstate == sqlstate::insufficient_privilege
                      ? "GRANT CREATE ON DATABASE … TO the gateway's control role, and run tidegate doctor."
                      : "")));
}

boost::asio::awaitable<void> planned_ddl::mark(std::size_t number, std::string_view state) {
  if (id_ == 0 || session_.ended()) co_return;
  const auto source = ledger();
  co_await control::record_step(*source, id_, number + 1, state);
}

boost::asio::awaitable<void> planned_ddl::mark_plan(std::string_view state) {
  if (id_ == 0) co_return;
  const auto source = ledger();
  co_await control::record_plan_state(*source, id_, state);
}

// ---- the steps ----

boost::asio::awaitable<planned_ddl::step_end> planned_ddl::carry_out_step(std::size_t number) {
  const plan_step& step = plan_.steps[number];
  if (session_.client_gone() || session_.cancel_requested()) {
    failure_ = {.sqlstate = std::string(sqlstate::query_canceled),
                .message = "canceling statement due to user request"};
    co_return step_end::stopped;
  }
  const auto same = co_await names_stand();
  if (!same) co_return step_end::session_ended;
  if (!*same) co_return replaced();
  if (in_doubt_ == number && !step.done.empty()) {
    const auto source = ledger();
    const auto stands = co_await control::took_effect(*source, step.done);
    if (session_.ended()) co_return step_end::session_ended;
    if (stands && *stands) {
      done_[number] = true;
      co_await mark(number, "done");
      co_return step_end::done;
    }
  }
  const std::string which =
      "step " + std::to_string(number + 1) + " of " + std::to_string(plan_.steps.size());
  session_.send_to_client(notice(said(which + ": " + step.sql)));
  of_.shown_step_ = which;
  of_.show_step({}, 0);
  co_await mark(number, "running");
  if (session_.ended()) co_return step_end::session_ended;
  step_end end = step_end::failed;
  switch (step.kind) {
    case step_kind::brief:
    case step_kind::checking:
      end = co_await guarded(step);
      break;
    case step_kind::concurrent:
      end = co_await concurrent(step);
      break;
    case step_kind::filling:
      end = co_await fill(step);
      break;
  }
  if (session_.ended()) co_return step_end::session_ended;
  if (end == step_end::done) {
    done_[number] = true;
    co_await mark(number, "done");
  }
  co_return end;
}

boost::asio::awaitable<planned_ddl::step_end> planned_ddl::guarded(const plan_step& step) {
  guarded_work work{.messages = query_message(step.sql),
                    .locks = step.locks,
                    .text = step.sql,
                    .may_run_long = step.kind == step_kind::checking};
  guarded_ddl way(of_, std::move(work));
  const guarded_end end = co_await way.run_step();
  switch (end) {
    case guarded_end::succeeded:
      co_return step_end::done;
    case guarded_end::failed:
      co_return fail(way.last(), step);
    case guarded_end::gave_up:
    case guarded_end::cancelled:
      failure_ = way.why_not(end == guarded_end::cancelled);
      co_return step_end::stopped;
    case guarded_end::ended:
    case guarded_end::answered:
      break;
  }
  co_return step_end::session_ended;
}

boost::asio::awaitable<planned_ddl::step_end> planned_ddl::concurrent(const plan_step& step) {
  const auto parsed = sql::parse(step.sql);
  const sql::create_index* create = parsed.ok() ? parsed.statements.front().as<sql::create_index>() : nullptr;
  const bool rebuilds = parsed.ok() && parsed.statements.front().as<sql::reindex>() != nullptr;
  // The table is that of the step, which may be a partition.
  std::uint32_t table = 0;
  if (!step.locks.empty()) {
    const auto found = of_.facts_.snapshot.relation(step.locks.front().relation);
    if (found) table = found->oid;
  }
  concurrent_build::subject what{.table_oid = table, .index = {}, .builds = create != nullptr || rebuilds};
  if (create != nullptr) what.index = create->name;
  concurrent_build work(session_, server_, of_.vouching_, std::move(what),
                        of_.names_.session.lock_timeout_ms);
  const auto built = co_await work.run(step.sql);
  if (!built) co_return step_end::session_ended;
  if (built->error.empty()) co_return step_end::done;
  co_return fail(*built, step);
}

boost::asio::awaitable<planned_ddl::step_end> planned_ddl::fill(const plan_step& step) {
  batch_filling filling(session_, server_, *step.fills, plan_.relation, plan_.relation_oid);
  const auto end = co_await filling.run();
  switch (end) {
    case batch_filling::end::filled:
      co_return step_end::done;
    case batch_filling::end::failed:
      co_return fail(filling.error(), step);
    case batch_filling::end::cancelled:
      failure_ = {.sqlstate = std::string(sqlstate::query_canceled),
                  .message = "canceling statement due to user request"};
      co_return step_end::stopped;
    case batch_filling::end::replaced:
      co_return replaced();
    case batch_filling::end::session_ended:
      break;
  }
  co_return step_end::session_ended;
}

// Every relation of the plan still has its name. None: the session has ended.
boost::asio::awaitable<std::optional<bool>> planned_ddl::names_stand() {
  lost_ = plan_.relation;
  auto same = co_await is_still(server_, plan_.relation, plan_.relation_oid);
  for (const policies::other_relation& other : plan_.others) {
    if (!same || !*same) break;
    lost_ = other.name;
    same = co_await is_still(server_, other.name, other.oid);
  }
  co_return same;
}

// Steps and their undo go by name: on another table they would do harm.
planned_ddl::step_end planned_ddl::replaced() {
  failure_ = {.sqlstate = std::string(sqlstate::object_not_in_prerequisite_state),
              .message = "relation " + lost_ + " was renamed or replaced while its plan was carried out",
              .detail = "Nothing more was done to either."};
  return step_end::stopped;
}

// The server's error, as the client would have got it for its own statement. A cancel or a timeout of the
// client's is no verdict on the plan: what stands may go on later.
planned_ddl::step_end planned_ddl::fail(const unit_answer& answer, const plan_step& step) {
  failure_ = report_of(answer);
  if (answer.sqlstate == sqlstate::query_canceled) return step_end::stopped;
  if (!step.not_null_column.empty() && answer.sqlstate == sqlstate::check_violation) {
    // As PostgreSQL says it of SET NOT NULL; it names the relation from 13 on.
    const bool names_relation = of_.facts_.snapshot.server_version >= 130000;
    failure_.sqlstate = sqlstate::not_null_violation;
    failure_.message = "column \"" + step.not_null_column + "\"" +
                       (names_relation ? " of relation \"" + failure_.table + "\"" : std::string()) +
                       " contains null values";
    failure_.column = step.not_null_column;
    failure_.constraint.clear();
  }
  return step_end::failed;
}

// ---- when it does not end well ----

// The first `steps`, the last of which failed, in reverse.
boost::asio::awaitable<void> planned_ddl::take_back(std::size_t steps) {
  bool told = false;
  for (std::size_t i = steps; i-- > 0;) {
    const plan_step& step = plan_.steps[i];
    // A check that did not hold is not worth keeping, whoever made it.
    const bool failed_check = i + 1 == steps && step.kind == step_kind::checking && !step.undo.empty();
    if (!done_[i] && !failed_check) continue;
    if (step.undo.empty()) {
      const bool changed_something = step.kind == step_kind::brief;
      if (changed_something) not_taken_back_.push_back("-- done and kept: " + step.sql);
      continue;
    }
    if (!std::exchange(told, true)) {
      session_.send_to_client(notice(said("the steps that were done are taken back")));
      of_.shown_step_ = "takes back what was done";
      of_.show_step({}, 0);
    }
    const bool undone = co_await undo(step);
    if (session_.ended()) co_return;
    if (undone)
      co_await mark(i, "undone");
    else
      not_taken_back_.push_back(step.undo);
  }
}

boost::asio::awaitable<bool> planned_ddl::undo(const plan_step& step) {
  const auto same = co_await names_stand();
  if (!same || !*same) co_return false;
  if (step.kind == step_kind::concurrent) {
    concurrent_build::subject what{.table_oid = 0, .index = {}, .builds = false};
    concurrent_build work(session_, server_, of_.vouching_, std::move(what),
                          of_.names_.session.lock_timeout_ms);
    const auto dropped = co_await work.run(step.undo);
    co_return dropped && dropped->error.empty();
  }
  const auto parsed = sql::parse(step.undo);
  for (const sql::statement& statement : parsed.statements) {
    const std::string text(statement.range.in(step.undo));
    guarded_work work{.messages = query_message(text),
                      .locks = policies::locks_of(text, of_.facts_.snapshot),
                      .text = text,
                      .may_run_long = validates(statement)};
    guarded_ddl way(of_, std::move(work));
    const guarded_end end = co_await way.run_step();
    if (end != guarded_end::succeeded) co_return false;
  }
  co_return parsed.ok();
}

report planned_ddl::stopped_report() const {
  report what = failure_;
  std::string undo;
  std::size_t finished = 0;
  for (std::size_t i = plan_.steps.size(); i-- > 0;) {
    if (!done_[i]) continue;
    ++finished;
    if (!plan_.steps[i].undo.empty()) add_line(undo, plan_.steps[i].undo + ";");
  }
  if (finished == 0) return what;
  add_line(what.detail, std::to_string(finished) + " of " + std::to_string(plan_.steps.size()) +
                            " steps are done and stand" +
                            (id_ != 0 ? " (plan " + std::to_string(id_) + " in tidegate.step)." : "."));
  what.hint = id_ != 0 ? "Run the same statement again to go on." : "";
  if (!undo.empty()) add_line(what.hint, "To take them back:\n" + undo);
  return what;
}

// ---- the answer ----

boost::asio::awaitable<void> planned_ddl::answer_done() {
  unit_answer answer;
  protocol::writer w(answer.messages);
  protocol::encode(w, protocol::command_complete{plan_.tag});
  of_.answer_succeeded(answer);
  co_return;
}

boost::asio::awaitable<void> planned_ddl::answer_error(report what) {
  unit_answer answer;
  answer.sqlstate = what.sqlstate;
  answer.error = error(what);
  of_.answer_failed(answer);
  co_return;
}

}  // namespace tidegate::session
