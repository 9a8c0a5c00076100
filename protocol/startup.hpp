#pragma once
// The packets that open a connection. They have no type byte: the first Int32 behind the length tells which
// one it is. And the server's answer to a version or an option that it does not know. Pure; any thread.
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP

#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace tidegate::protocol {

struct protocol_version {
  std::uint16_t major = 3;
  std::uint16_t minor = 0;

  auto operator<=>(const protocol_version&) const = default;

  constexpr std::uint32_t number() const noexcept { return std::uint32_t{major} << 16 | minor; }
  static constexpr protocol_version from_number(std::uint32_t number) noexcept {
    return {static_cast<std::uint16_t>(number >> 16), static_cast<std::uint16_t>(number)};
  }
};

inline constexpr protocol_version protocol_2_0{2, 0};  // gone since PostgreSQL 14
inline constexpr protocol_version protocol_3_0{3, 0};
inline constexpr protocol_version protocol_3_2{
    3, 2};  // since PostgreSQL 18: longer cancel keys; 3.1 never existed

// Names that begin so are options of the protocol itself, not settings of the session.
inline constexpr std::string_view protocol_option_prefix = "_pq_.";

struct startup_parameter {
  std::string_view name;
  std::string_view value;
  bool operator==(const startup_parameter&) const = default;
};

struct startup_message {
  protocol_version version;
  std::vector<startup_parameter> parameters;  // as sent: in order, duplicates included

  // The value of a parameter; the last one counts when a name is repeated, as in PostgreSQL.
  std::optional<std::string_view> find(std::string_view name) const noexcept;

  // Empty when the client named none, which PostgreSQL refuses with 28000.
  std::string_view user() const noexcept;
  // The user's name when the client named none or an empty one.
  std::string_view database() const noexcept;
  // The names that begin with _pq_., in order: what NegotiateProtocolVersion has to list when they are
  // unknown.
  std::vector<std::string_view> protocol_options() const;
};

struct ssl_request {};
struct gssenc_request {};

// The key is 4 bytes in protocol 3.0 and 4 to 256 in 3.2.
struct cancel_request {
  std::int32_t process_id = 0;
  bytes key;
};

inline constexpr std::size_t min_cancel_key_size = 4;
inline constexpr std::size_t max_cancel_key_size = 256;

// A StartupMessage of another major version. 2.0 comes here too; its layout is another one, so nothing more
// is read.
struct unknown_version {
  protocol_version version;
};

using startup_packet =
    std::variant<startup_message, ssl_request, gssenc_request, cancel_request, unknown_version>;

// `body` begins behind the length. Any minor version of 3 is a StartupMessage: it is negotiated down, not
// refused.
[[nodiscard]] result<startup_packet> decode_startup_packet(bytes body);

// Whether it is meant to be a CancelRequest, which is never answered, not even when it is malformed.
[[nodiscard]] bool is_cancel_request(bytes body);

void encode(writer& to, const startup_message& message);
void encode(writer& to, ssl_request);
void encode(writer& to, gssenc_request);
void encode(writer& to, const cancel_request& message);

// "I go on with this version, and I don't know these options." Sent at most once per login.
struct negotiate_protocol_version {
  protocol_version newest;  // on the wire the whole number, as servers send it, not only the minor version
  std::vector<std::string_view> unknown_options;
};

[[nodiscard]] result<negotiate_protocol_version> decode_negotiate_protocol_version(bytes body);
void encode(writer& to, const negotiate_protocol_version& message);

// The one-byte answers to SSLRequest and GSSENCRequest.
inline constexpr char accept_ssl = 'S';
inline constexpr char accept_gssenc = 'G';
inline constexpr char refuse_encryption = 'N';

}  // namespace tidegate::protocol
