#pragma once
// The login at the server that belongs to a client: names as they are on the server, the client's parameters,
// and what the gateway can prove. Pure.

#include "config/settings.hpp"
#include "proxy/pool/server_endpoint.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/session/client_handshake.hpp"
#include "proxy/session/client_session.hpp"

#include <memory>
#include <string>

namespace tidegate::session {

// In this order: the client's own by passthrough, whatever the database says (nobody else has checked them);
// `server_auth` of the database; a password or md5 hash that the gateway stores for the user; the keys of the
// client's SCRAM exchange; none.
pool::credentials credentials_of(accepted_client& client, const config::database_settings& database);

// The client must stay where it is while the login runs (passthrough asks it).
pool::login_request request_for(accepted_client& client, const config::database_settings& database,
                                pool::server_endpoint_ptr endpoint);

// How another session like the one of this request is logged in, later and without the client. Null: the
// gateway has no control role in the database, and does nothing by itself there.
std::unique_ptr<own_login> login_again(const pool::login_request& request,
                                       const config::database_settings& database);

// What tells the database on its server apart from others (schema_epochs.hpp).
std::string schema_of(const pool::login_request& request);

}  // namespace tidegate::session
