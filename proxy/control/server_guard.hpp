#pragma once
// The server guard as a running gateway meets it: an event trigger in the database refuses DDL that no
// gateway has vouched for (docs/guard.md). guard_setup.hpp makes it and takes it away.
//
// A vouch is a token that the server itself makes for the control role: a keyed hash of the backend, of the
// text that is about to be sent there, and of how much it covers. The key never leaves the server, and
// nothing is kept here: whether there is a guard is asked anew for each statement that needs to know, so that
// one that comes or goes is noticed by the next.

#include "proxy/control/querier.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

enum class guard_state : std::uint8_t {
  absent,
  disabled,   // its event triggers are
  closed,     // the control role has no right to tokens
  untrusted,  // it is not wholly its owner's, so that calling it would run another role's code
  in_force,   // DDL needs a vouch
};

boost::asio::awaitable<outcome<guard_state>> find_guard(querier& source);

// What a token lets pass while its text is the one that the client's message carries.
enum class vouch_covers : std::uint8_t {
  own,  // the text's own statements
  all,  // and whatever they set off: extension scripts, event triggers, a DO block's SQL
};

// The token for `text`, as its bytes go to the server, on the backend with this pid; good there and for that
// text only. To be asked of a guard that is in force.
boost::asio::awaitable<outcome<std::string>> vouch_for(querier& source, std::int32_t backend_pid,
                                                       vouch_covers covers, std::string_view text);
std::string_view name(vouch_covers covers);

}  // namespace tidegate::control
