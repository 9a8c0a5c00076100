// Of an interception: a verdict that wants a plan, and a plan that was interrupted.

#include "config/words.hpp"
#include "policies/plan/deferrable.hpp"
#include "policies/plan/migration_tool.hpp"
#include "policies/plan/planner.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/guarded_ddl.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/planned_ddl.hpp"
#include "proxy/session/replies.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::session {

namespace {

report with_reason(report refusal, std::string_view why) {
  refusal.detail += (refusal.detail.empty() ? "" : "\n") + std::string("Not carried out in steps: ") +
                    std::string(why) + ".";
  return refusal;
}

bool drops_tables(const sql::statement& s) {
  const auto* drop = s.as<sql::drop>();
  return drop != nullptr && drop->kind == sql::object_kind::table;
}

// Only an owner may do what has a plan, but for what MAINTAIN allows.
bool is_for_owners(const sql::statement& s) {
  return s.as<sql::alter_table>() != nullptr || s.as<sql::create_index>() != nullptr ||
         s.as<sql::create_table>() != nullptr || drops_tables(s);
}

}  // namespace

// The session's own mode, or the policy's. None: the session ended, or was answered.
boost::asio::awaitable<std::optional<interception::chosen_mode>> interception::ddl_mode_of(const decided& d,
                                                                                           report refusal) {
  const auto set = co_await session_ddl_mode();
  if (!set) co_return std::nullopt;
  if (set->empty()) co_return chosen_mode{d.decision.ddl_mode, "policies.ddl_mode is plan here"};
  const auto mode = config::parse_word<policies::ddl_mode>(*set);
  if (!mode) {
    refusal.sqlstate = protocol::sqlstate::invalid_parameter_value;
    refusal =
        with_reason(std::move(refusal), "tidegate.ddl_mode is none of wait, async, defer, plan and off");
    co_await refuse(refusal);
    co_return std::nullopt;
  }
  if (*mode == policies::ddl_mode::off && !may_override()) {
    refusal.sqlstate = protocol::sqlstate::insufficient_privilege;
    refusal = with_reason(std::move(refusal),
                          "tidegate.ddl_mode = off is for the roles of policies.allow_override_roles");
    co_await refuse(refusal);
    co_return std::nullopt;
  }
  co_return chosen_mode{*mode, "tidegate.ddl_mode is plan"};
}

// What has no plan, or can't have it carried out where it stands, is refused with the steps.
boost::asio::awaitable<void> interception::carry_out_plan(const decided& d) {
  report refusal = to_report(policies::explain_refusal(d.decision));
  const auto chosen = co_await ddl_mode_of(d, refusal);
  if (!chosen) co_return;
  if (chosen->mode == policies::ddl_mode::off) {
    action_ = audit::action_taken::overridden;
    guarded_ddl way(*this);
    co_return co_await way.run();
  }
  if (chosen->mode == policies::ddl_mode::plan)
    co_return co_await refuse(with_reason(std::move(refusal), chosen->why_plan));
  co_await carry_out_plan(d, std::move(refusal), chosen->mode);
}

// `mode`: wait, async or defer.
boost::asio::awaitable<void> interception::carry_out_plan(const decided& d, report refusal,
                                                          policies::ddl_mode mode) {
  policies::planned planned;
  if (!parsed_text_.empty())
    planned.why_not = "the client's encoding can't be taken apart";
  else if (!session_.control() || !facts_.snapshot.available)
    planned.why_not = "the facts of the database are not known";
  else
    planned =
        policies::make_plan({*d.statement, text_, facts_.snapshot, who_, history_, d.commented}, d.decision);
  if (!planned.steps) {
    refusal = with_reason(std::move(refusal), planned.why_not);
    co_return co_await refuse(refusal);
  }
  const bool outside = co_await is_outside_transaction();
  if (session_.ended()) co_return;
  const bool deferred =
      !outside && mode == policies::ddl_mode::defer && policies::is_deferrable(*d.statement);
  if (!outside && !deferred) {
    refusal.sqlstate = protocol::sqlstate::active_sql_transaction;
    refusal = with_reason(std::move(refusal), "it is in a transaction, which can't hold several");
    const std::string_view way = policies::outside_transaction(session_.application(), d.commented);
    refusal.hint = "Run it outside a transaction, and it is carried out in steps" +
                   (way.empty() ? std::string(".") : " (" + std::string(way) + ").") +
                   (refusal.hint.empty() ? "" : "\n" + refusal.hint);
    co_return co_await refuse(refusal);
  }
  if (is_for_owners(*d.statement)) {
    const auto mine = co_await owns(*planned.steps);
    if (!mine) co_return;
    if (!*mine) {  // the server says best that it is not allowed
      guarded_ddl way(*this);
      co_return co_await way.run();
    }
  }
  if (deferred) co_return co_await defer(d);
  if (mode == policies::ddl_mode::async) co_return co_await run_in_background(d);
  planned_ddl way(*this, std::move(*planned.steps), d.text);
  const bool finished = co_await way.run();
  if (!finished) co_await decide_again();
}

// CREATE INDEX, which is carried out with CONCURRENTLY and needs no plan for that: in a session of the
// gateway's own it has one, to be gone on with. True: it was seen to.
boost::asio::awaitable<bool> interception::carry_out_later(const decided& d) {
  if (d.statement->as<sql::create_index>() == nullptr || decisions_.size() != 1 || !session_.control() ||
      !facts_.snapshot.available)
    co_return false;
  report refusal = to_report(policies::explain_refusal(d.decision));
  policies::ddl_mode mode = policies::ddl_mode::wait;
  if (session_.who().background == 0) {
    const auto chosen = co_await ddl_mode_of(d, refusal);
    if (!chosen) co_return true;
    mode = chosen->mode;
    if (mode != policies::ddl_mode::async && mode != policies::ddl_mode::defer) co_return false;
    const bool outside = co_await is_outside_transaction();
    if (session_.ended()) co_return true;
    if (outside != (mode == policies::ddl_mode::async)) co_return false;
  }
  co_await carry_out_plan(d, std::move(refusal), mode);
  co_return true;
}

bool interception::may_override() const {
  const auto& roles = settings_->policies.policy.override_roles;
  return std::find(roles.begin(), roles.end(), who_.role) != roles.end();
}

// Whether the client's role has the rights of the owners of all relations that the plan changes. None: the
// session ended, or was answered.
boost::asio::awaitable<std::optional<bool>> interception::owns(const policies::plan& plan) {
  std::string oids = std::to_string(plan.relation_oid);
  for (const policies::other_relation& other : plan.others)
    if (other.changed) oids += ", " + std::to_string(other.oid);
  const auto asked = co_await server_.run_sql(
      own_end(),
      "SELECT pg_catalog.bool_and(pg_catalog.pg_has_role(c.relowner, 'USAGE')) FROM pg_catalog.pg_class AS c "
      "WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY[" +
          oids + "]::pg_catalog.oid[])");
  if (!asked) co_return std::nullopt;
  if (!asked->ok()) {
    co_await fail_with(asked->error);
    co_return std::nullopt;
  }
  co_return is_true(*asked);
}

std::chrono::milliseconds interception::wait_budget(std::chrono::milliseconds most) const {
  for (const std::int64_t own : {names_.session.lock_timeout_ms, names_.session.statement_timeout_ms})
    if (own > 0) most = std::min(most, std::chrono::milliseconds(own));
  return most;
}

// One statement of a kind that plans are made for, on a relation that is known.
bool interception::may_have_plan() const {
  if (decisions_.size() != 1 || parsed_.statements.size() != 1 || !parsed_text_.empty() ||
      !session_.control() || !facts_.snapshot.available ||
      decisions_.front().decision.mode != policies::policy_mode::enforce)
    return false;
  const sql::statement& only = parsed_.statements.front();
  return only.as<sql::alter_table>() != nullptr || only.as<sql::create_index>() != nullptr ||
         drops_tables(only);
}

// The same statement was interrupted in the middle of its steps. What it has made so far may have changed
// what the rules say of it, so this is asked before. False: it was not, or nothing can be done about it here.
boost::asio::awaitable<bool> interception::go_on_with_plan() {
  const sql::statement& only = parsed_.statements.front();
  policies::lookup<policies::relation_facts> relation;
  if (const auto* alter = only.as<sql::alter_table>()) {
    relation = facts_.snapshot.relation(alter->relation);
  } else if (const auto* create = only.as<sql::create_index>()) {
    relation = facts_.snapshot.relation(create->relation);
  } else {
    for (const auto& table : only.as<sql::drop>()->objects)
      if (!relation) relation = facts_.snapshot.relation(table);
  }
  if (!relation || session_.state().pipeline().status() != core::transaction_status::idle) co_return false;
  auto begun = co_await planned_ddl::find_interrupted(*this, *relation.facts, decisions_.front().text,
                                                      std::string(only.tag));
  if (session_.ended()) co_return true;
  if (!begun) co_return false;
  const decided& d = decisions_.front();
  const auto chosen = co_await ddl_mode_of(d, to_report(policies::explain_refusal(d.decision)));
  if (!chosen) co_return true;
  if (chosen->mode == policies::ddl_mode::plan || chosen->mode == policies::ddl_mode::off) co_return false;
  const bool outside = co_await is_outside_transaction();
  if (!outside) co_return session_.ended();
  if (chosen->mode == policies::ddl_mode::async) {
    co_await run_in_background(d);
    co_return true;
  }
  const bool finished = co_await begun->run();
  if (!finished) co_await decide_again();
  co_return true;
}

// The statement is a transaction of its own.
boost::asio::awaitable<bool> interception::is_outside_transaction() {
  const core::pipeline& pipeline = session_.state().pipeline();
  if (pipeline.status() != core::transaction_status::idle || pipeline.executed_unsynced()) co_return false;
  if (!is_execute()) co_return true;
  // Followed by Sync it is; by anything else, what follows belongs to it.
  const auto next = co_await session_.peek_client(std::chrono::steady_clock::time_point::max());
  co_return next&&* next == 'S';
}

// Something else has changed the database meanwhile.
boost::asio::awaitable<void> interception::decide_again() {
  facts_ = control::facts();
  decisions_.clear();
  const bool read = co_await read_facts();
  if (!read) co_return;
  co_await decide();
  if (!session_.ended()) co_await carry_out();
}

// What the session has set tidegate.ddl_mode to, empty: nothing. None: the session ended, or was answered.
boost::asio::awaitable<std::optional<std::string>> interception::session_ddl_mode() {
  const auto shown =
      co_await server_.run_sql(own_end(), "SELECT pg_catalog.current_setting('tidegate.ddl_mode', true)");
  if (!shown) co_return std::nullopt;
  if (!shown->ok() || shown->rows.empty() || shown->rows.front().empty()) {
    co_await fail_with(shown->error);
    co_return std::nullopt;
  }
  co_return control::text(shown->rows.front().front(), 0);
}

}  // namespace tidegate::session
