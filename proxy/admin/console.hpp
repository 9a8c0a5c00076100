#pragma once
// The admin console: a client that asked for database "tidegate", instead of a session with a server. It
// speaks the simple and the extended protocol, runs the commands of command.hpp, and checks the right for
// each of them when it is given. A coroutine on the worker's thread; it waits for other workers without
// holding anything of theirs.
//
// Bounds: so many consoles at once, one idle for so long is ended, a message of a client is small, an answer
// is sent in pieces.

#include "proxy/admin/gateway_access.hpp"
#include "proxy/session/client_handshake.hpp"
#include "proxy/session/environment.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/asio/awaitable.hpp>

namespace tidegate::admin {

inline constexpr unsigned most_consoles = 32;
inline constexpr std::chrono::hours console_idle{1};
inline constexpr std::uint32_t longest_console_message = 64 * 1024;
inline constexpr std::size_t most_console_statements = 100;  // prepared ones, and portals, of one console

// A client whose login has been accepted. Refuses it when it may not use the console. Returns when it has
// gone.
boost::asio::awaitable<void> serve_console(session::accepted_client client, session::shared_services& shared,
                                           gateway_access& gateway);

}  // namespace tidegate::admin
