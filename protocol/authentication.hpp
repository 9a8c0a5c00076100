#pragma once
// Who are you? The server's requests (all under the letter R, told apart by an Int32) and the client's
// answers (all under p, told apart only by where the dialogue stands, so each has its own decoder). What is
// inside the SASL data is scram.hpp's. Views point into the body. Pure; any thread.
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP

#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace tidegate::protocol {

struct authentication_ok {};
struct authentication_kerberos_v5 {};
struct authentication_cleartext_password {};
struct authentication_md5_password {
  std::array<std::byte, 4> salt{};
};
struct authentication_gss {};
struct authentication_gss_continue {
  bytes data;
};
struct authentication_sspi {};
struct authentication_sasl {
  std::vector<std::string_view> mechanisms;  // in the server's order of preference
};
struct authentication_sasl_continue {
  bytes data;
};
struct authentication_sasl_final {
  bytes data;
};

using authentication_request =
    std::variant<authentication_ok, authentication_kerberos_v5, authentication_cleartext_password,
                 authentication_md5_password, authentication_gss, authentication_gss_continue,
                 authentication_sspi, authentication_sasl, authentication_sasl_continue,
                 authentication_sasl_final>;

// Body of an R message. bad_value when the request is none of the manual's.
[[nodiscard]] result<authentication_request> decode_authentication_request(bytes body);

void encode(writer& to, authentication_ok);
void encode(writer& to, authentication_kerberos_v5);
void encode(writer& to, authentication_cleartext_password);
void encode(writer& to, const authentication_md5_password& message);
void encode(writer& to, authentication_gss);
void encode(writer& to, const authentication_gss_continue& message);
void encode(writer& to, authentication_sspi);
void encode(writer& to, const authentication_sasl& message);
void encode(writer& to, const authentication_sasl_continue& message);
void encode(writer& to, const authentication_sasl_final& message);

// The password, or "md5" and the hash.
struct password_message {
  std::string_view password;
};

struct sasl_initial_response {
  std::string_view mechanism;
  std::optional<bytes> data;  // absent when the client leaves the first word to the server
};

struct sasl_response {
  bytes data;
};

struct gss_response {
  bytes data;
};

[[nodiscard]] result<password_message> decode_password_message(bytes body);
[[nodiscard]] result<sasl_initial_response> decode_sasl_initial_response(bytes body);
// Any bytes are well-formed SASL and GSS data.
[[nodiscard]] result<sasl_response> decode_sasl_response(bytes body);
[[nodiscard]] result<gss_response> decode_gss_response(bytes body);

void encode(writer& to, const password_message& message);
void encode(writer& to, const sasl_initial_response& message);
void encode(writer& to, const sasl_response& message);
void encode(writer& to, const gss_response& message);

}  // namespace tidegate::protocol
