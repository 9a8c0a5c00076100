#pragma once
// What a client gets when both logins are done: its welcome, the server's notices and parameters, the
// gateway's cancel key and ReadyForQuery, in the order in which PostgreSQL sends them. Pure.

#include "protocol/bytes.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/pool/server_login.hpp"
#include "proxy/session/client_handshake.hpp"

namespace tidegate::session {

// `before`: messages that go in front of the parameters, such as the server's notices. Without a registration
// (the server sent no key) there is no BackendKeyData.
protocol::byte_buffer greet(const accepted_client& client, protocol::bytes before,
                            const std::vector<pool::parameter>& parameters, char transaction_status,
                            const pool::cancel_registration& cancel);

}  // namespace tidegate::session
