// Of an interception: the vouch that the server guard wants to see before it lets a schema change run.

#include "policies/event_triggers.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/interception.hpp"

#include <algorithm>
#include <vector>

namespace tidegate::session {

boost::asio::awaitable<std::string> interception::vouch() {
  const core::pipeline& pipeline = session_.state().pipeline();
  const bool seen = std::any_of(decisions_.begin(), decisions_.end(), [](const decided& d) {
    return policies::may_fire_event_triggers(*d.statement);
  });
  const std::string none;
  if ((!seen && !parsed_.error) || pipeline.failed() || pipeline.skipping()) co_return none;
  const std::string text(is_execute() ? std::string_view(text_) : core::text_of(message_).text);
  co_return co_await vouching_.token_for(text, covered());
}

// What was not read is covered as far as its own statements go. Where the policy has let a DO block make up
// its SQL, by an override or by allowing it, it may.
control::vouch_covers interception::covered() const {
  const auto hides = [](const decided& d) {
    if (!policies::may_run_unseen_ddl(*d.statement)) return false;
    const auto& found = d.decision.reported;
    return d.statement->as<sql::do_block>() == nullptr ||
           std::any_of(found.begin(), found.end(), [](const policies::finding& f) {
             return f.rule == "do-block-ddl" && f.action != policies::verdict::allow;
           });
  };
  const bool seen_whole = !parsed_.error && std::none_of(decisions_.begin(), decisions_.end(), hides);
  return seen_whole ? control::vouch_covers::all : control::vouch_covers::own;
}

vouch_lasts interception::vouch_lasts_for() const {
  const bool in_transaction = session_.state().pipeline().status() == core::transaction_status::open ||
                              own_end() == dialogue_end::flush;
  const bool ends_it =
      std::any_of(parsed_.statements.begin(), parsed_.statements.end(),
                  [](const sql::statement& s) { return s.as<sql::transaction>() != nullptr; });
  return in_transaction && !ends_it ? vouch_lasts::transaction : vouch_lasts::session;
}

boost::asio::awaitable<void> interception::take_vouch_back() {
  if (session_.ended()) co_return;
  if (session_.state().pipeline().status() != core::transaction_status::idle)
    co_return session_.run_when_at_rest("SELECT pg_catalog.set_config('tidegate.vouch', '', false)");
  std::vector<own_statement> after(1, forget_vouch());
  co_await server_.run(std::move(after), dialogue_end::sync);
}

}  // namespace tidegate::session
