#pragma once
// What is stored so that a password can be checked: the formats of pg_authid.rolpassword, which user files
// and auth_query give, and MD5 authentication with them. Pure; any thread.
// https://www.postgresql.org/docs/current/catalog-pg-authid.html

#include "protocol/authentication_errc.hpp"
#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace tidegate::protocol {

using scram_key = std::array<std::byte, 32>;  // SHA-256 and everything derived with it

// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. Enough to check a client and to prove oneself to
// it, not enough to log in as the client: that takes the ClientKey.
struct scram_secret {
  std::uint32_t iterations = 0;
  byte_buffer salt;
  scram_key stored_key{};
  scram_key server_key{};
  bool operator==(const scram_secret&) const = default;
};

// "md5" and 32 hex digits. Whoever has it can log in.
struct md5_hash {
  std::string text;
  bool operator==(const md5_hash&) const = default;
};

struct plain_password {
  std::string text;
  bool operator==(const plain_password&) const = default;
};

using stored_password = std::variant<plain_password, md5_hash, scram_secret>;

// Tells the formats apart as PostgreSQL does, except that a text which begins with SCRAM-SHA-256$ and is not
// well-formed is malformed_secret and not taken for somebody's plain password.
[[nodiscard]] result<stored_password> parse_stored_password(std::string_view text);

[[nodiscard]] result<scram_secret> parse_scram_secret(std::string_view text);
std::string format_scram_secret(const scram_secret& secret);

// The hash that is stored: "md5" and hex(md5(password user)).
[[nodiscard]] result<md5_hash> hash_md5(std::string_view password, std::string_view user);

// What a client answers to AuthenticationMD5Password: "md5" and hex(md5(digits of the stored hash, salt)).
[[nodiscard]] result<std::string> md5_response(const md5_hash& stored, bytes salt);

// Compares without telling by its duration where the texts differ (it tells whether their lengths do).
bool equal_in_constant_time(bytes left, bytes right) noexcept;

}  // namespace tidegate::protocol
