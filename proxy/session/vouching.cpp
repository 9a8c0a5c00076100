#include "proxy/session/vouching.hpp"

#include "proxy/log/log.hpp"
#include "proxy/session/client_session.hpp"

namespace tidegate::session {
namespace {

std::string_view why_not(control::guard_state state) {
  return state == control::guard_state::closed
             ? "the control role may not ask it for tokens (tidegate guard install --control-role)"
             : "its schema or its functions belong to another role than its event triggers (tidegate guard "
               "status)";
}

// The setting is no secret of the client's: it shows what the client itself is about to run. As a parameter,
// so that statistics of statements do not fill up with tokens.
constexpr std::string_view set_for_transaction = "SELECT pg_catalog.set_config('tidegate.vouch', $1, true)";
constexpr std::string_view set_for_session = "SELECT pg_catalog.set_config('tidegate.vouch', $1, false)";

}  // namespace

boost::asio::awaitable<std::string> vouching::token_for(std::string_view text, control::vouch_covers covers) {
  const std::string none;
  if (!session_.control() || (in_force_ && !*in_force_)) co_return none;
  const auto source = session_.on().shared.control.querier_for(*session_.control());
  if (!in_force_) {
    const auto found = co_await control::find_guard(*source);
    in_force_ = found && *found == control::guard_state::in_force;
    if (found && (*found == control::guard_state::closed || *found == control::guard_state::untrusted))
      log::warning<"guard_unusable">({{"database", session_.who().database}, {"why", why_not(*found)}});
    if (!*in_force_) co_return none;
  }
  auto token = co_await control::vouch_for(*source, session_.backend_pid(), covers, text);
  if (token) co_return std::move(*token);
  log::warning<"guard_unusable">({{"database", session_.who().database}, {"why", token.error().message}});
  co_return none;
}

own_statement set_vouch(const std::string& token, vouch_lasts how_long) {
  own_statement set;
  set.sql = how_long == vouch_lasts::transaction ? set_for_transaction : set_for_session;
  set.parameters.push_back(token);
  return set;
}

own_statement forget_vouch() {
  return {std::string(set_for_session), {std::string()}};
}

}  // namespace tidegate::session
