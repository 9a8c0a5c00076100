#pragma once
// The server guard's part of an interception: what the gateway has let through is vouched for right before it
// is sent (control/server_guard.hpp, docs/guard.md). The token is a setting of the client's server
// connection. Where no guard is in force nothing is set.

#include "proxy/control/server_guard.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

class vouching {
 public:
  explicit vouching(client_session& session) : session_(session) {}

  // The token for a text that is about to be sent as it is. Empty: no guard is in force, or none can be had,
  // which is logged; the guard then refuses the statement and says why.
  boost::asio::awaitable<std::string> token_for(std::string_view text, control::vouch_covers covers);

 private:
  client_session& session_;
  std::optional<bool> in_force_;  // none: not asked yet
};

enum class vouch_lasts : std::uint8_t { transaction, session };

own_statement set_vouch(const std::string& token, vouch_lasts how_long);
// Of one that was set for the session.
own_statement forget_vouch();

}  // namespace tidegate::session
