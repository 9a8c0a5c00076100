#pragma once
// locks.clamp: what a client sets of lock_timeout, statement_timeout and idle_in_transaction_session_timeout
// is brought back within the policy's bounds right after it was set, in whatever way it was set (SET, RESET,
// DISCARD, set_config, startup options, ALTER ROLE … SET), by asking the server what is in force. A NOTICE
// says so.

#include "config/settings.hpp"
#include "policies/sql/statement.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

// True: something was brought back. Nothing is asked when the configuration has no bounds.
boost::asio::awaitable<bool> keep_settings_in_bounds(client_session& session, server_dialogue& server,
                                                     const config::settings& settings, dialogue_end end);

bool has_setting_bounds(const config::settings& settings);
// ALTER ROLE, DATABASE or SYSTEM … SET gives later sessions another default: says that those through the
// gateway keep the bound.
void tell_bound_of_default(client_session& session, const config::settings& settings,
                           const sql::variable_set& setting);

}  // namespace tidegate::session
