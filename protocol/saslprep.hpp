#pragma once
// How SCRAM prepares a password (SASLprep, RFC 4013), with PostgreSQL's leniency. Pure; any thread.

#include <string>
#include <string_view>

namespace tidegate::protocol {

// ASCII stays as it is. Other UTF-8: spaces become U+0020, invisible characters go, then NFKC. What is not
// UTF-8, or holds what RFC 4013 prohibits (unassigned characters, mixed directions, nothing at
// all), is used as it came, as PostgreSQL does: the database may have another encoding.
std::string saslprep(std::string_view password);

}  // namespace tidegate::protocol
