#pragma once
// Both ends of a connection, and its TLS, in words for the admin console.

#include "proxy/admin/snapshot.hpp"
#include "proxy/net/stream.hpp"

namespace tidegate::net {

// Asks the kernel; what it can't say is empty.
admin::connection_ends ends_of(const released_stream& connection);

}  // namespace tidegate::net
