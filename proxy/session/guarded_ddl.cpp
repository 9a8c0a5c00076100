#include "proxy/session/guarded_ddl.hpp"

#include "policies/locks.hpp"
#include "policies/registry.hpp"
#include "policies/rule.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/quote.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/frame.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/own_messages.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace tidegate::session {
namespace {

namespace sqlstate = protocol::sqlstate;
using policies::lock_level;

// How often the strong lock is tried while the weak one keeps autovacuum away, before everything is let go
// again.
constexpr int tries_beside_autovacuum = 5;

// How long a statement that can be tried once only looks for a moment when nobody at all holds a conflicting
// lock.
constexpr std::chrono::milliseconds patience_of_one_attempt{500};

constexpr std::size_t most_shown = 10;  // blockers in SHOW DDL

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

bool worth_another_try(std::string_view state) {
  return state == sqlstate::lock_not_available || state == sqlstate::deadlock_detected;
}

// Inside a transaction block. Not set_config(): a SELECT would take the snapshot that the client's first
// query is to take.
std::string set_local_lock_timeout(const std::string& value) {
  return "SET LOCAL lock_timeout = " + sql::quote_literal(value);
}

// In an unsynced batch, where SET LOCAL may find no transaction block.
std::string set_batch_lock_timeout(const std::string& value) {
  return "SELECT pg_catalog.set_config('lock_timeout', " + sql::quote_literal(value) + ", true)";
}

report change_of_lock_timeout(const std::string& how) {
  return {.sqlstate = std::string(sqlstate::feature_not_supported),
          .message = "lock_timeout is changed in the same message as a statement that is guarded",
          .detail = how +
                    " would take away the bound within which that statement waits for its lock "
                    "(locks.lock_timeout), and with it everybody behind it would wait.",
          .hint =
              "Send the change in a message of its own, before or after; the guarded statement waits for its "
              "lock "
              "without it."};
}

}  // namespace

guarded_ddl::guarded_ddl(interception& of) : of_(of), session_(of.session_), server_(of.server_) {
  const auto guarded = std::find_if(of_.decisions_.begin(), of_.decisions_.end(),
                                    [](const auto& d) { return d.decision.guarded; });
  work_.text = guarded == of_.decisions_.end() ? of_.decisions_.front().text : guarded->text;
  work_.may_run_long = may_run_long(of_);
  for (const auto& d : of_.decisions_)
    work_.locks.insert(work_.locks.end(), d.decision.locks.begin(), d.decision.locks.end());
}

guarded_ddl::guarded_ddl(interception& of, guarded_work step)
    : of_(of), session_(of.session_), server_(of.server_), work_(std::move(step)) {}

boost::asio::awaitable<void> guarded_ddl::run() {
  of_.action_ = of_.action_ == audit::action_taken::overridden ? of_.action_ : audit::action_taken::guarded;
  const shape how = co_await choose_shape();
  if (how == shape::once && !take_over_lock_timeout()) {
    const report what = change_of_lock_timeout(changes_.beyond);
    co_return co_await of_.refuse(what);
  }
  if (how != shape::once) work_.messages = of_.statement_unit();
  vouch_ = co_await of_.vouch();
  if (session_.ended()) co_return;
  const guarded_end end = co_await try_until_done(how);
  switch (end) {
    case guarded_end::succeeded:
      co_return of_.answer_succeeded(last_);
    case guarded_end::failed:
      // In a transaction of the client's it has failed now, as it would have without us.
      co_return of_.answer_failed(last_);
    case guarded_end::gave_up:
    case guarded_end::cancelled: {
      if (end == guarded_end::cancelled && session_.client_gone())
        co_return session_.end(end_reason::client_gone);
      if (end == guarded_end::cancelled) session_.clear_cancel_request();
      const report what = why_not(end == guarded_end::cancelled);
      co_return co_await of_.refuse_statement(what);
    }
    case guarded_end::ended:
    case guarded_end::answered:
      co_return;
  }
}

boost::asio::awaitable<guarded_end> guarded_ddl::run_step() {
  vouch_ = co_await of_.vouching_.token_for(work_.text, control::vouch_covers::all);
  co_return co_await try_until_done(shape::own_transaction);
}

boost::asio::awaitable<guarded_end> guarded_ddl::try_until_done(shape how) {
  if (session_.client_gone()) {
    session_.end(end_reason::client_gone);
    co_return guarded_end::ended;
  }
  find_locks(work_.locks);
  const auto& locks = of_.settings_->locks;
  const bool in_transaction = session_.state().pipeline().status() == core::transaction_status::open;
  const bool holds_already = in_transaction || session_.state().pipeline().executed_unsynced();
  const auto budget = of_.wait_budget(holds_already ? locks.transaction_wait_budget : locks.ddl_wait_budget);
  guard_.emplace(core::guard_limits{.wait_budget = budget}, clock::now());
  session_.metrics().database->ddl_waiting.add();
  // A step of a plan is shown in the place of the whole.
  const bool alone = !of_.shown_;
  if (alone) of_.show(work_.text);
  const auto began = clock::now();
  std::uniform_real_distribution<double> unit(0.0, 1.0);
  std::optional<guarded_end> end;
  while (!end) {
    const auto next = guard_->next(clock::now(), unit(session_.on().random));
    switch (next.step) {
      case core::guard_step::precheck:
        of_.show_step("looks", guard_->attempts());
        if (const bool looked = co_await precheck(how); looked)
          guard_->found_blockers(!blockers_.empty());
        else
          guard_->precheck_failed();
        break;
      case core::guard_step::wait:
      case core::guard_step::rest:
        of_.show_step("waits", guard_->attempts());
        if (next.tell) tell_waiting(clock::now());
        if (!co_await session_.pause(next.duration)) end = guarded_end::cancelled;
        break;
      case core::guard_step::attempt: {
        of_.attempts_ = guard_->attempts();
        of_.show_step("attempts", guard_->attempts());
        if (how == shape::once) {
          co_await run_once();
          end = guarded_end::answered;
          break;
        }
        const auto tried = clock::now();
        const attempt_result result = co_await attempt(how);
        session_.metrics().database->ddl_lock_wait_seconds.observe(seconds(clock::now() - tried));
        if (result == attempt_result::blocked)
          guard_->attempt_timed_out();
        else
          end = result == attempt_result::succeeded ? guarded_end::succeeded : guarded_end::failed;
        break;
      }
      case core::guard_step::give_up:
      case core::guard_step::done:
        end = guarded_end::gave_up;
        break;
    }
    if (session_.ended()) end = guarded_end::ended;
  }
  session_.metrics().database->ddl_waiting.sub();
  if (alone) of_.shown_.reset();
  session_.metrics().database->ddl_seconds.observe(seconds(clock::now() - began));
  of_.lock_wait_ += std::chrono::duration_cast<std::chrono::microseconds>(guard_->waited(clock::now()));
  co_return *end;
}

// ---- what is locked ----

void guarded_ddl::find_locks(const std::vector<policies::relation_lock>& locks) {
  const auto& catalog = of_.facts_.snapshot;
  for (const policies::relation_lock& lock : locks) {
    if (lock.level < lock_level::share_update_exclusive) continue;
    auto found = catalog.relation(lock.relation);
    if (!found) found = catalog.relation_by_full_name(sql::quote_name(lock.relation));
    if (!found || found->new_in_transaction || found->persistence == 't') continue;
    wanted_.push_back({found->oid, lock.level});
    if (lock.level < lock_level::share) continue;
    gate_names_.push_back(found->name);
    for (const std::string& view : found->dependent_views)
      gate_names_.push_back(view.substr(view.rfind('.') + 1));
    for (const std::string& partition : found->partitions)
      gate_names_.push_back(partition.substr(partition.rfind('.') + 1));
    if (!found->parent.empty()) gate_names_.push_back(found->parent.substr(found->parent.rfind('.') + 1));
    if (found->kind == 'r' || found->kind == 'p') tables_.push_back(found->full_name());
  }
  // Quoted names of facts, as the words of a statement compare.
  for (std::string& name : gate_names_) std::erase(name, '"');
  std::sort(gate_names_.begin(), gate_names_.end());
  gate_names_.erase(std::unique(gate_names_.begin(), gate_names_.end()), gate_names_.end());
  std::sort(tables_.begin(), tables_.end());
  tables_.erase(std::unique(tables_.begin(), tables_.end()), tables_.end());
}

// A statement that was allowed or overridden although it rewrites or scans may take its time; its lock wait
// stays bounded.
bool guarded_ddl::may_run_long(const interception& of) {
  for (const auto& d : of.decisions_) {
    for (const auto* list : {&d.decision.reported, &d.decision.overridden}) {
      for (const policies::finding& f : *list) {
        const policies::rule* rule = policies::find_rule(f.rule);
        if (rule != nullptr && rule->kind != policies::hazard::instant &&
            rule->kind != policies::hazard::advice)
          return true;
      }
    }
  }
  return false;
}

bool guarded_ddl::runs_in_transaction_block() const {
  const sql::statement& s = of_.parsed_.statements.front();
  if (s.as<sql::vacuum>() != nullptr || s.as<sql::drop_database>() != nullptr) return false;
  if (s.as<sql::lock_table>() != nullptr)
    return false;  // refused by the server where no transaction block keeps the lock
  if (const auto* c = s.as<sql::cluster>()) {
    if (!c->relation) return false;
    const auto found = of_.facts_.snapshot.relation(*c->relation);
    return found && found->kind != 'p';
  }
  if (const auto* r = s.as<sql::reindex>()) {
    if (r->target != sql::reindex_target::index && r->target != sql::reindex_target::table) return false;
    const auto found = of_.facts_.snapshot.relation(r->relation);
    return found && found->kind != 'p' && found->kind != 'I';
  }
  return true;
}

boost::asio::awaitable<guarded_ddl::shape> guarded_ddl::choose_shape() {
  const core::pipeline& pipeline = session_.state().pipeline();
  if (of_.parsed_.statements.size() != 1) co_return shape::once;
  // What works through many relations, each in a transaction of its own, would begin anew at each attempt.
  const sql::statement& only = of_.parsed_.statements.front();
  if (policies::locks_unnamed(only) && !runs_in_transaction_block()) co_return shape::once;
  // A DO block may commit by itself, and what it ran before its lock failed can't be told.
  if (of_.parsed_.statements.front().as<sql::do_block>() != nullptr) co_return shape::once;
  if (of_.is_execute()) {
    if (pipeline.executed_unsynced() || of_.bind_.empty()) co_return shape::once;
    // Followed by Sync, the statement is a transaction of its own; by anything else, what follows belongs to
    // it.
    const auto next = co_await session_.peek_client(clock::time_point::max());
    if (!next || *next != 'S') co_return shape::once;
    const bool ended = co_await server_.synchronise();
    if (!ended) co_return shape::once;
  } else if (pipeline.unsynced()) {
    co_return shape::once;
  }
  if (pipeline.status() == core::transaction_status::open) co_return shape::savepoint;
  co_return runs_in_transaction_block() ? shape::own_transaction : shape::session_setting;
}

// ---- waiting ----

// Who stands in the way now. False: it can't be told.
boost::asio::awaitable<bool> guarded_ddl::precheck(shape how) {
  if (wanted_.empty() || !session_.control()) co_return false;
  const auto source = session_.on().shared.control.querier_for(*session_.control());
  std::vector<std::int32_t> own(1, session_.backend_pid());
  auto found = co_await control::find_blockers(*source, wanted_, std::move(own));
  if (!found) co_return false;
  blockers_ = std::move(*found);
  std::string in_the_way;
  for (std::size_t i = 0; i < blockers_.holders.size() && i < most_shown; ++i)
    in_the_way += (in_the_way.empty() ? "" : "\n") + control::describe(blockers_.holders[i]);
  of_.shown_->blockers(std::move(in_the_way));
  // Short transactions come and go: the attempt's own lock_timeout waits for them. A statement that has one
  // attempt only waits a little for a moment without any.
  const bool choosy = how == shape::once && guard_->waited(clock::now()) < patience_of_one_attempt;
  const auto age = choosy ? std::chrono::milliseconds(0) : of_.settings_->locks.precheck_age;
  std::erase_if(blockers_.holders, [age](const control::blocker& b) {
    return (b.kind == control::blocker_kind::session || b.kind == control::blocker_kind::background) &&
           b.transaction_age < age;
  });
  // Autovacuum does not end by being waited for: attempt() deals with it.
  const bool only_autovacuum =
      !blockers_.holders.empty() &&
      std::all_of(blockers_.holders.begin(), blockers_.holders.end(),
                  [](const control::blocker& b) { return b.kind == control::blocker_kind::autovacuum; });
  if (only_autovacuum && !tables_.empty()) {
    autovacuum_ = true;
    blockers_.holders.clear();
  } else {
    autovacuum_ = false;
  }
  co_return true;
}

void guarded_ddl::tell_waiting(clock::time_point now) {
  if (blockers_.empty()) {
    session_.send_to_client(notice(
        {.sqlstate = "00000",
         .message = "waiting for a lock: attempt " + std::to_string(guard_->attempts()) +
                    " timed out, trying again (" + control::human_duration(guard_->waited(now)) + ")"}));
    return;
  }
  const control::blocker& first = blockers_.holders.front();
  std::string message = "waiting: " + control::describe(first);
  if (blockers_.holders.size() > 1)
    message += " (and " + std::to_string(blockers_.holders.size() - 1) + " more)";
  session_.send_to_client(notice({.sqlstate = "00000", .message = std::move(message)}));
}

report guarded_ddl::why_not(bool cancelled) const {
  if (cancelled)
    return {.sqlstate = std::string(sqlstate::query_canceled),
            .message = "canceling statement due to user request",
            .detail = "It was waiting for its lock and has changed nothing."};
  if (last_.sqlstate == sqlstate::deadlock_detected && blockers_.empty())
    // The server says best who waits for whom, and clients know what to do about it.
    return {.sqlstate = last_.sqlstate,
            .message = std::string(field_of(last_.error, 'M')),
            .detail = std::string(field_of(last_.error, 'D')),
            .hint = std::string(field_of(last_.error, 'H'))};
  report what;
  what.sqlstate = sqlstate::lock_not_available;
  what.message = "could not obtain the lock within " + control::human_duration(guard_->waited(clock::now())) +
                 " (" + std::to_string(guard_->attempts()) +
                 (guard_->attempts() == 1 ? " attempt)" : " attempts)");
  for (const control::blocker& b : blockers_.holders) {
    if (!what.detail.empty()) what.detail += "\n";
    what.detail += "blocked by " + control::describe(b);
  }
  if (what.detail.empty())
    what.detail = "Transactions that were too short to be named held conflicting locks at each attempt.";
  const bool inside = session_.state().pipeline().status() == core::transaction_status::open;
  what.hint =
      inside ? "The statement was tried inside a transaction (locks.transaction_wait_budget); locks that "
               "the transaction holds "
               "already stall others meanwhile. Run it in a transaction of its own, or end the blocker."
             : "Nothing was changed and nobody was stalled. End the blocker (SELECT "
               "pg_terminate_backend(pid)) or try again later; "
               "locks.ddl_wait_budget is how long the gateway waits, or the "
               "session's lock_timeout or statement_timeout if that is less.";
  return what;
}

// ---- attempts ----

// The others' first: from then on this one's budget runs.
boost::asio::awaitable<guarded_ddl::closed_gates> guarded_ddl::close_gates() {
  closed_gates closed;
  if (gate_names_.empty()) co_return closed;
  auto& shared = session_.on().shared;
  const auto budget = of_.settings_->locks.stall_budget;
  if (session_.control() && of_.settings_->locks.share_gate) {
    control::control_target target = *session_.control();
    std::vector<std::string> names = gate_names_;
    auto elsewhere = co_await shared.control.hold_elsewhere(std::move(target), std::move(names), budget);
    closed.elsewhere = std::move(elsewhere);
  }
  closed.here = shared.gate.close(session_.who().database, gate_names_, clock::now() + budget);
  co_return closed;
}

// The policy's, unless the client has asked for less.
std::string guarded_ddl::lock_timeout_text() const {
  const std::int64_t policy = of_.settings_->locks.lock_timeout.count();
  const std::int64_t client = of_.names_.session.lock_timeout_ms;
  return std::to_string(client > 0 ? std::min(policy, client) : policy) + "ms";
}

const std::string& guarded_ddl::previous_lock_timeout() const {
  return of_.lock_timeout_;
}

boost::asio::awaitable<std::optional<unit_answer>> guarded_ddl::send_statement() {
  const auto until =
      work_.may_run_long ? clock::time_point::max() : clock::now() + of_.settings_->locks.hold_budget;
  co_return co_await server_.run_unit(work_.messages, until);
}

guarded_ddl::attempt_result guarded_ddl::judge(const unit_answer& answer) {
  auto& outcomes = session_.metrics().database->ddl_attempts;
  if (answer.error.empty()) {
    outcomes[metrics::attempt_outcome::succeeded].add();
    return attempt_result::succeeded;
  }
  if (answer.timed_out && answer.sqlstate == sqlstate::query_canceled) {
    outcomes[metrics::attempt_outcome::hold_budget].add();
    return attempt_result::blocked;
  }
  if (worth_another_try(answer.sqlstate)) {
    outcomes[answer.sqlstate == sqlstate::deadlock_detected ? metrics::attempt_outcome::deadlock
                                                            : metrics::attempt_outcome::lock_timeout]
        .add();
    return attempt_result::blocked;
  }
  outcomes[metrics::attempt_outcome::failed].add();
  return attempt_result::failed;
}

boost::asio::awaitable<guarded_ddl::attempt_result> guarded_ddl::attempt(shape how) {
  switch (how) {
    case shape::own_transaction:
      co_return co_await attempt_in_own_transaction();
    case shape::savepoint:
      co_return co_await attempt_under_savepoint();
    case shape::session_setting:
    case shape::once:
      break;
  }
  co_return co_await attempt_with_session_setting();
}

std::vector<own_statement> guarded_ddl::before(std::vector<std::string> sql, vouch_lasts how_long) const {
  std::vector<own_statement> all;
  for (std::string& each : sql) all.push_back({std::move(each)});
  if (!vouch_.empty()) all.push_back(set_vouch(vouch_, how_long));
  return all;
}

boost::asio::awaitable<guarded_ddl::attempt_result> guarded_ddl::attempt_in_own_transaction() {
  auto begin = before({"BEGIN", set_local_lock_timeout(lock_timeout_text())}, vouch_lasts::transaction);
  const auto begun = co_await server_.run(std::move(begin), dialogue_end::sync);
  if (!begun) co_return attempt_result::session_ended;
  if (!begun->ok()) {
    last_ = {.error = begun->error, .sqlstate = begun->sqlstate};
    co_return attempt_result::failed;
  }
  int tries = 1;
  if (autovacuum_) {
    const bool yielded = co_await wait_out_autovacuum();
    if (yielded) tries = tries_beside_autovacuum;
  }
  attempt_result result = attempt_result::blocked;
  for (int i = 0; i < tries && result == attempt_result::blocked; ++i) {
    if (tries > 1) {
      if (i != 0) {
        if (!co_await server_.run_sql(dialogue_end::sync, "ROLLBACK TO SAVEPOINT tidegate_ddl"))
          co_return attempt_result::session_ended;
        if (!co_await session_.pause(of_.settings_->locks.lock_timeout)) break;
      }
      if (!co_await server_.run_sql(dialogue_end::sync, "SAVEPOINT tidegate_ddl"))
        co_return attempt_result::session_ended;
    }
    const auto gates = co_await close_gates();
    const auto locked = clock::now();
    auto answer = co_await send_statement();
    if (!answer) co_return attempt_result::session_ended;
    last_ = std::move(*answer);
    result = judge(last_);
    if (result == attempt_result::succeeded) {
      const auto committed = co_await server_.run_sql(dialogue_end::sync, "COMMIT");
      if (!committed) co_return attempt_result::session_ended;
      session_.metrics().database->ddl_lock_held_seconds.observe(seconds(clock::now() - locked));
      if (!committed->ok()) {
        last_ = {.error = committed->error, .sqlstate = committed->sqlstate};
        co_return attempt_result::failed;
      }
      // Before the gates open: what they held may have been prepared before.
      if (of_.changes_schema()) session_.schema_changed();
      co_return result;
    }
  }
  if (!co_await server_.run_sql(dialogue_end::sync, "ROLLBACK")) co_return attempt_result::session_ended;
  co_return result;
}

// An ordinary autovacuum is cancelled by the server once somebody has waited for it longer than
// deadlock_timeout. The wait is made with a lock that application statements don't mind, and that keeps the
// next autovacuum away.
boost::asio::awaitable<bool> guarded_ddl::wait_out_autovacuum() {
  const auto patience = blockers_.deadlock_timeout + std::chrono::seconds(1);
  std::string tables;
  for (const std::string& t : tables_) tables += (tables.empty() ? "" : ", ") + t;
  const auto waited =
      co_await server_.run_sql(dialogue_end::sync, "SAVEPOINT tidegate_ddl",
                               set_local_lock_timeout(std::to_string(patience.count()) + "ms"),
                               "LOCK TABLE " + tables + " IN SHARE UPDATE EXCLUSIVE MODE",
                               "RELEASE SAVEPOINT tidegate_ddl", set_local_lock_timeout(lock_timeout_text()));
  if (!waited) co_return false;
  if (waited->ok()) co_return true;
  co_await server_.run_sql(dialogue_end::sync, "ROLLBACK TO SAVEPOINT tidegate_ddl");
  co_return false;
}

boost::asio::awaitable<guarded_ddl::attempt_result> guarded_ddl::attempt_under_savepoint() {
  auto begin = before({"SAVEPOINT tidegate_ddl", set_local_lock_timeout(lock_timeout_text())},
                      vouch_lasts::transaction);
  const auto begun = co_await server_.run(std::move(begin), dialogue_end::sync);
  if (!begun) co_return attempt_result::session_ended;
  if (!begun->ok()) {
    last_ = {.error = begun->error, .sqlstate = begun->sqlstate};
    co_return attempt_result::failed;
  }
  attempt_result result = attempt_result::failed;
  {
    const auto gates = co_await close_gates();
    auto answer = co_await send_statement();
    if (!answer) co_return attempt_result::session_ended;
    last_ = std::move(*answer);
    result = judge(last_);
  }
  switch (result) {
    case attempt_result::succeeded:
      if (!co_await server_.run_sql(dialogue_end::sync, "RELEASE SAVEPOINT tidegate_ddl",
                                    set_local_lock_timeout(previous_lock_timeout()))) {
        co_return attempt_result::session_ended;
      }
      break;
    case attempt_result::blocked:
      if (!co_await server_.run_sql(dialogue_end::sync, "ROLLBACK TO SAVEPOINT tidegate_ddl",
                                    "RELEASE SAVEPOINT tidegate_ddl")) {
        co_return attempt_result::session_ended;
      }
      break;
    default:
      break;
  }
  co_return result;
}

// For what refuses to run inside a transaction block.
boost::asio::awaitable<guarded_ddl::attempt_result> guarded_ddl::attempt_with_session_setting() {
  auto settings = before({set_session_lock_timeout(lock_timeout_text())}, vouch_lasts::session);
  if (!co_await server_.run(std::move(settings), dialogue_end::sync)) co_return attempt_result::session_ended;
  attempt_result result = attempt_result::failed;
  {
    const auto gates = co_await close_gates();
    auto answer = co_await send_statement();
    if (!answer) co_return attempt_result::session_ended;
    last_ = std::move(*answer);
    result = judge(last_);
  }
  std::vector<own_statement> after(1, own_statement{set_session_lock_timeout(previous_lock_timeout())});
  if (!vouch_.empty()) after.push_back(forget_vouch());
  if (!co_await server_.run(std::move(after), dialogue_end::sync)) co_return attempt_result::session_ended;
  co_return result;
}

// SETs of lock_timeout among the statements get the guard's value for as long as they run, and what the
// client wanted is set afterwards. False: it is changed in a way that can't be taken over.
bool guarded_ddl::take_over_lock_timeout() {
  changes_ = policies::find_lock_timeout_changes(of_.parsed_.statements);
  const bool positions_known = of_.parsed_text_.empty() && !of_.is_execute();
  if (!changes_.sets.empty() && !positions_known && changes_.beyond.empty())
    changes_.beyond = "SET lock_timeout";
  if (!changes_.beyond.empty()) return false;
  if (changes_.sets.empty()) return true;
  const std::string text = policies::with_lock_timeout(of_.text_, changes_.sets, lock_timeout_text());
  of_.message_.clear();
  protocol::writer w(of_.message_);
  w.begin_message('Q');
  w.cstring(text);
  w.end_message();
  return true;
}

// What lock_timeout is to be afterwards, as a statement: the client's last SET, as it was written, or what it
// was.
std::string guarded_ddl::lock_timeout_afterwards(bool in_block, const std::string& put_back) const {
  if (changes_.sets.empty()) return put_back;
  const auto& last = changes_.sets.back();
  if (last.local && !in_block) return put_back;
  return of_.text_.substr(static_cast<std::size_t>(last.range.begin),
                          static_cast<std::size_t>(last.range.end - last.range.begin));
}

// Among other statements: relayed as it comes, with lock_timeout set before and put back after.
boost::asio::awaitable<void> guarded_ddl::run_once() {
  const vouch_lasts how_long = of_.vouch_lasts_for();
  co_await relay_with_lock_timeout(how_long);
  if (!vouch_.empty() && how_long == vouch_lasts::session) co_await of_.take_vouch_back();
}

boost::asio::awaitable<void> guarded_ddl::relay_with_lock_timeout(vouch_lasts how_long) {
  const bool in_batch = of_.own_end() == dialogue_end::flush;
  const bool in_block = session_.state().pipeline().status() == core::transaction_status::open;
  const auto set = [in_batch, in_block](const std::string& value) {
    if (in_block) return set_local_lock_timeout(value);
    return in_batch ? set_batch_lock_timeout(value) : set_session_lock_timeout(value);
  };
  auto settings = before({set(lock_timeout_text())}, how_long);
  const auto prepared = co_await server_.run(std::move(settings), of_.own_end());
  if (!prepared) co_return;
  {
    const auto gates = co_await close_gates();
    co_await of_.relay();
  }
  if (session_.ended()) co_return;
  const core::pipeline& pipeline = session_.state().pipeline();
  const bool succeeded = of_.outcome_ == audit::outcome::succeeded;
  if (!in_block && !in_batch && pipeline.status() != core::transaction_status::idle) {
    // The text has begun a transaction: what is put back inside it would be undone with it.
    session_.run_when_at_rest(
        "SELECT pg_catalog.set_config('lock_timeout', " + sql::quote_literal(previous_lock_timeout()) +
        ", false) FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'lock_timeout' AND "
        "setting OPERATOR(pg_catalog.||) 'ms' OPERATOR(pg_catalog.=) " +
        sql::quote_literal(lock_timeout_text()));
    if (pipeline.status() == core::transaction_status::open) {
      const std::string afterwards =
          lock_timeout_afterwards(true, set_local_lock_timeout(previous_lock_timeout()));
      co_await server_.run_sql(of_.own_end(), afterwards);
    }
    co_return;
  }
  if (pipeline.skipping() || pipeline.status() == core::transaction_status::failed)
    co_return;  // rolled back with the rest
  const bool in_block_now = pipeline.status() == core::transaction_status::open;
  if (in_block && !in_block_now) {
    // The transaction that it was set in has ended; a SET of the text's for the session has outlived it.
    const std::string afterwards = lock_timeout_afterwards(false, {});
    if (succeeded && !afterwards.empty()) co_await server_.run_sql(of_.own_end(), afterwards);
    co_return;
  }
  std::string afterwards = set(previous_lock_timeout());
  if (succeeded) afterwards = lock_timeout_afterwards(in_block_now, afterwards);
  co_await server_.run_sql(of_.own_end(), afterwards);
}

}  // namespace tidegate::session
