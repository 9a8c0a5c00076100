#pragma once
// Transaction mode: moving a session between servers. Its settings are put on the server it gets; when texts
// may have left something behind, the server is asked what, before it is lent to somebody else.

#include "policies/sql/session_effects.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;

// The client's settings on the server it was just lent. False: that failed, and the session has ended.
boost::asio::awaitable<bool> restore_settings(client_session& session, server_dialogue& server);
// What nextval() returned there to somebody else can no longer be asked for. False: as above.
boost::asio::awaitable<bool> forget_sequence_values(client_session& session, server_dialogue& server);

// Between transactions: asks the server about everything that may have been left, and notes the client's
// settings and what pins it.
boost::asio::awaitable<void> look_at_state(client_session& session, server_dialogue& server,
                                           sql::session_effects effects);

// SQL is about to name prepared statements: those of the client that the text mentions are put on the server
// under the client's own names (all of them when it is empty). Where only the names matter, something that
// does nothing stands for each: a statement whose table is gone can be dropped, but not prepared. None: the
// session has ended.
enum class put_as : std::uint8_t { statements, placeholders };
boost::asio::awaitable<std::optional<own_answer>> put_names_on_server(client_session& session,
                                                                      server_dialogue& server,
                                                                      std::string_view text, put_as what,
                                                                      core::reading now, dialogue_end end);
// … and it has run: which names are left is asked, and what was put there is taken away.
boost::asio::awaitable<bool> take_names_off_server(client_session& session, server_dialogue& server,
                                                   dialogue_end end);

}  // namespace tidegate::session
