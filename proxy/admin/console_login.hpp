#pragma once
// Who may open a console, and what it is greeted with.

#include "protocol/bytes.hpp"
#include "proxy/pool/cancel.hpp"
#include "proxy/session/client_handshake.hpp"
#include "proxy/session/environment.hpp"
#include "proxy/session/replies.hpp"

#include <optional>

namespace tidegate::admin {

// Why a client whose login was accepted gets no console; none: it gets one.
std::optional<session::report> console_refusal(const session::accepted_client& client,
                                               const session::shared_services& shared);

// From AuthenticationOk to BackendKeyData.
protocol::byte_buffer console_greeting(const session::accepted_client& client,
                                       const pool::cancel_registration& key);

}  // namespace tidegate::admin
