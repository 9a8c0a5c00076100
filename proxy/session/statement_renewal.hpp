#pragma once
// After a schema change, PostgreSQL refuses to run a prepared statement whose result has become another one
// ("cached plan must not change result type", 0A000). Before a Bind of a statement that may be concerned, it
// is looked at, and prepared anew where the client was told the same result or none; otherwise the error is
// the client's.
//
// Session mode: between transactions only, under the client's own name. Transaction mode: servers prepare
// anew whatever was prepared before the change (server_statements::renew); what is left is to compare.

#include "proxy/session/server_dialogue.hpp"

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

// Of client_step::renew: what the client sent stays where it is, and is looked at again afterwards.
boost::asio::awaitable<void> renew_statement(client_session& session);

}  // namespace tidegate::session
