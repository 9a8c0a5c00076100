#pragma once
// What SCRAM-SHA-256-PLUS binds to: a hash of the server's certificate (tls-server-end-point, RFC 5929 §4.1),
// so that who stands in between with another certificate is noticed. Pure; any thread.

#include "protocol/authentication_errc.hpp"
#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"

namespace tidegate::protocol {

// `certificate` in DER. Hashed with the hash of its own signature, with SHA-256 instead of MD5 and SHA-1.
// unsupported_channel_binding when it can't be read or its signature names no hash (Ed25519, as in
// PostgreSQL).
[[nodiscard]] result<byte_buffer> tls_server_end_point(bytes certificate);

}  // namespace tidegate::protocol
