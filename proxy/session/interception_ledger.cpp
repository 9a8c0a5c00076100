// Of an interception: what the ledger hears of its schema changes, and when.

#include "policies/override_comment.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/concurrent_index.hpp"
#include "proxy/session/interception.hpp"
#include "proxy/session/session_memory.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::session {
namespace {

using control::ddl_outcome;
using policies::fate;

// What changes the database for others: no LOCK, no PREPARE, no temporary relation.
bool is_change(const sql::statement& s) {
  if (!s.ddl || s.as<sql::lock_table>() != nullptr || s.as<sql::prepare>() != nullptr) return false;
  if (const auto* t = s.as<sql::create_table>()) return !t->temporary && t->relation.schema != "pg_temp";
  if (const auto* t = s.as<sql::create_table_as>()) return !t->temporary && t->relation.schema != "pg_temp";
  if (const auto* v = s.as<sql::create_view>()) return !v->temporary && v->relation.schema != "pg_temp";
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void has_no_inverse(control::ddl_entry& entry, std::string why) {
  entry.undo.sql.clear();
  entry.undo.lost.clear();
  entry.undo.why_not = std::move(why);
}

// FETCH may run any statement of a portal: those are judged, but which one ran is not known.
bool fetches(const std::vector<sql::statement>& statements) {
  return std::any_of(statements.begin(), statements.end(), [](const sql::statement& s) {
    const auto* other = s.as<sql::other_statement>();
    return other != nullptr && other->node == "FetchStmt";
  });
}

}  // namespace

// Before a change in a transaction whose end is not seen here (ddl_trail.hpp). An error is the statement's:
// nothing but a timeout or a cancel of the client's can cause one. False: the client was answered, or the
// session has ended.
boost::asio::awaitable<bool> interception::mark_changes() {
  const auto changes = [](const sql::parsed& parsed) {
    return std::any_of(parsed.statements.begin(), parsed.statements.end(), is_change);
  };
  const bool any = changes(parsed_) || std::any_of(executed_.begin(), executed_.end(),
                                                   [&](const auto& e) { return changes(e.second); });
  const core::pipeline& pipeline = session_.state().pipeline();
  if (!keeps_ledger() || !any || pipeline.failed()) co_return true;
  if (pipeline.status() == core::transaction_status::idle) {
    if (!pipeline.unsynced()) co_return true;  // a transaction of its own, or of the message's
    if (is_execute() && !pipeline.executed_unsynced()) {
      const auto next = co_await session_.peek_client(std::chrono::steady_clock::time_point::max());
      if (session_.ended()) co_return false;
      if (next && *next == 'S') co_return true;  // nothing but it is in the batch
    }
  }
  ddl_trail& trail = session_.memory().trail;
  const std::uint64_t number = trail.next_number();
  const std::string sql = trail.mark(number);
  const auto marked = co_await server_.run_sql(own_end(), sql);
  if (!marked) co_return false;
  if (!marked->ok()) {
    co_await fail_with(marked->error);
    co_return false;
  }
  mark_ = number;
  co_return true;
}

bool interception::keeps_ledger() const {
  return session_.control() != nullptr && settings_->policies.ledger;
}

policies::inverse interception::undo_of(const policies::rule_input& input) const {
  policies::inverse none;
  if (!keeps_ledger() || !is_change(input.statement)) return none;
  const bool is_utf8 =
      reading_.client_encoding == "UTF8" || input.text.data() == parsed_text_.data() || is_ascii(input.text);
  if (!is_utf8 ||
      (!reading_.lexical.standard_conforming_strings && input.text.find('\\') != input.text.npos)) {
    none.why_not = "the client's encoding or strings can't be taken apart";
    return none;
  }
  return policies::inverse_of(input);
}

bool interception::is_recorded(const decided& d) const {
  // Mode observe promises to change nothing in the database, so there are no tables of ours either.
  if (!is_change(*d.statement) || d.decision.mode != policies::policy_mode::enforce) return false;
  const bool own = d.statement >= parsed_.statements.data() &&
                   d.statement < parsed_.statements.data() + parsed_.statements.size();
  if (!own && fetches(parsed_.statements)) return false;
  // Of a temporary relation, which may stand beside lasting ones.
  const auto& locks = d.decision.locks;
  return locks.empty() || !std::all_of(locks.begin(), locks.end(), [this](const auto& lock) {
           const auto found = facts_.snapshot.relation(lock.relation);
           return found && found->persistence == 't';
         });
}

control::ddl_entry interception::ledger_entry(const decided& d) const {
  control::ddl_entry entry;
  const auto took = std::chrono::steady_clock::now() - began_;
  entry.begun = std::chrono::system_clock::now() -
                std::chrono::duration_cast<std::chrono::system_clock::duration>(took);
  entry.duration = std::chrono::duration_cast<std::chrono::microseconds>(took);
  entry.lock_wait = lock_wait_;
  entry.login = names_known_ ? names_.session.session_user : session_.who().user;
  entry.role = who_.role;
  entry.application = session_.application();
  entry.client = session_.who().peer.to_string();
  entry.backend_pid = session_.ended() ? names_.session.backend_pid : session_.backend_pid();
  entry.statement = sql::normalise(d.text, reading_.lexical, 8 * 1024);
  entry.command = d.statement->tag;
  entry.tags = policies::comment_tags(d.commented);
  for (const auto* list : {&d.decision.reported, &d.decision.overridden})
    for (const policies::finding& f : *list) entry.findings.emplace_back(f.rule);
  entry.verdict = policies::name(d.decision.action);
  entry.action = audit::word(action_);
  entry.plan = plan_;
  entry.attempts = attempts_;
  entry.in_transaction = who_.in_transaction;
  entry.undo = d.undo;
  entry.relations = d.undo.objects;
  for (const policies::relation_lock& lock : d.decision.locks) {
    const auto found = facts_.snapshot.relation(lock.relation);
    std::string relation = found ? found->full_name() : sql::quote_name(lock.relation);
    if (lock.level != policies::lock_level::none)
      entry.locks.push_back(std::string(policies::name(lock.level)) + " on " + relation);
    if (std::find(entry.relations.begin(), entry.relations.end(), relation) == entry.relations.end())
      entry.relations.push_back(std::move(relation));
  }
  if (plan_was_resumed_)
    has_no_inverse(entry, "it was carried out in more than one go; tidegate.step has its steps");
  return entry;
}

void interception::tell_ledger() {
  if (!keeps_ledger() || action_ == audit::action_taken::refused || action_ == audit::action_taken::postponed)
    return;
  const auto& statements = parsed_.statements;
  const auto fates = policies::fates_of(statements);
  const bool succeeded = outcome_ == audit::outcome::succeeded;
  const bool controls = std::any_of(statements.begin(), statements.end(), [](const sql::statement& s) {
    return s.as<sql::transaction>() != nullptr;
  });
  const core::pipeline& pipeline = session_.state().pipeline();
  const auto& ledger = session_.on().shared;
  const auto record = [&](control::ddl_entry entry, ddl_outcome outcome) {
    entry.outcome = outcome;
    if (outcome == ddl_outcome::unknown) has_no_inverse(entry, "whether it was committed is not known");
    ledger.ledger.record(*session_.control(), std::move(entry));
  };
  for (const decided& d : decisions_) {
    if (!is_recorded(d)) continue;
    // What SQL's EXECUTE has run shares the fate of its message where that has but one.
    const bool own = d.statement >= statements.data() && d.statement < statements.data() + statements.size();
    const fate becomes = own ? fates[static_cast<std::size_t>(d.statement - statements.data())] : fate::open;
    control::ddl_entry entry = ledger_entry(d);
    if (plan_stands_by_halves_) {
      has_no_inverse(entry, "some of its steps stand; each has its own inverse in tidegate.step");
      record(std::move(entry), ddl_outcome::stopped);
    } else if (!succeeded) {
      if (becomes == fate::committed || becomes == fate::prepared ||
          (outcome_ == audit::outcome::unknown && !who_.in_transaction)) {
        record(std::move(entry), ddl_outcome::unknown);
      } else if (!who_.in_transaction && concurrent_index::is_concurrent(parsed_)) {
        has_no_inverse(entry, "it failed; an invalid index may be left, which tidegate doctor names");
        record(std::move(entry), ddl_outcome::failed);
      }
    } else if (becomes == fate::committed || becomes == fate::prepared) {
      record(std::move(entry), becomes == fate::committed ? ddl_outcome::done : ddl_outcome::prepared);
    } else if (becomes == fate::open) {
      const bool in_block = pipeline.status() == core::transaction_status::open;
      if (!in_block && !pipeline.unsynced()) {
        record(std::move(entry), ddl_outcome::done);
        continue;
      }
      using witness = ddl_trail::witness;
      // The mark is of the transaction that the message found.
      const witness by = controls ? witness::none : mark_ != 0 ? witness::setting : witness::no_errors;
      if (!session_.memory().trail.keep(std::move(entry), by, mark_, session_.errors_seen()))
        session_.on().shared.ledger.lost();
    }
  }
  const bool prepared = std::any_of(statements.begin(), statements.end(), [](const sql::statement& s) {
    const auto* control = s.as<sql::transaction>();
    return control != nullptr && control->action == sql::transaction_action::prepare;
  });
  if (succeeded && prepared) session_.memory().trail.prepared();
}

}  // namespace tidegate::session
