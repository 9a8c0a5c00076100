#include "protocol/authentication.hpp"

#include "protocol/reader.hpp"

#include <algorithm>
#include <cstdint>

namespace tidegate::protocol {
namespace {

enum class request_code : std::uint32_t {
  ok = 0,
  kerberos_v5 = 2,
  cleartext_password = 3,
  md5_password = 5,
  gss = 7,
  gss_continue = 8,
  sspi = 9,
  sasl = 10,
  sasl_continue = 11,
  sasl_final = 12,
};

authentication_md5_password read_salt(reader& in) {
  authentication_md5_password message;
  const bytes salt = in.raw(message.salt.size());
  std::copy(salt.begin(), salt.end(), message.salt.begin());
  return message;
}

authentication_sasl read_mechanisms(reader& in) {
  authentication_sasl message;
  for (;;) {
    const std::string_view mechanism = in.cstring();
    if (in.failed() || mechanism.empty()) break;  // an empty name ends the list
    message.mechanisms.push_back(mechanism);
  }
  return message;
}

authentication_request read_request(reader& in) {
  switch (static_cast<request_code>(in.uint32())) {
    case request_code::ok:
      return authentication_ok{};
    case request_code::kerberos_v5:
      return authentication_kerberos_v5{};
    case request_code::cleartext_password:
      return authentication_cleartext_password{};
    case request_code::md5_password:
      return read_salt(in);
    case request_code::gss:
      return authentication_gss{};
    case request_code::gss_continue:
      return authentication_gss_continue{in.rest()};
    case request_code::sspi:
      return authentication_sspi{};
    case request_code::sasl:
      return read_mechanisms(in);
    case request_code::sasl_continue:
      return authentication_sasl_continue{in.rest()};
    case request_code::sasl_final:
      return authentication_sasl_final{in.rest()};
  }
  in.fail(protocol_errc::bad_value);
  return authentication_ok{};
}

void encode_request(writer& to, request_code code, bytes data = {}) {
  to.begin_message('R');
  to.uint32(static_cast<std::uint32_t>(code));
  to.raw(data);
  to.end_message();
}

void encode_response(writer& to, bytes data) {
  to.begin_message('p');
  to.raw(data);
  to.end_message();
}

}  // namespace

result<authentication_request> decode_authentication_request(bytes body) {
  reader in(body);
  authentication_request request = read_request(in);
  return in.finish(std::move(request));
}

void encode(writer& to, authentication_ok) {
  encode_request(to, request_code::ok);
}

void encode(writer& to, authentication_kerberos_v5) {
  encode_request(to, request_code::kerberos_v5);
}

void encode(writer& to, authentication_cleartext_password) {
  encode_request(to, request_code::cleartext_password);
}

void encode(writer& to, const authentication_md5_password& message) {
  encode_request(to, request_code::md5_password, message.salt);
}

void encode(writer& to, authentication_gss) {
  encode_request(to, request_code::gss);
}

void encode(writer& to, const authentication_gss_continue& message) {
  encode_request(to, request_code::gss_continue, message.data);
}

void encode(writer& to, authentication_sspi) {
  encode_request(to, request_code::sspi);
}

void encode(writer& to, const authentication_sasl& message) {
  to.begin_message('R');
  to.uint32(static_cast<std::uint32_t>(request_code::sasl));
  for (const auto mechanism : message.mechanisms) to.cstring(mechanism);
  to.cstring({});
  to.end_message();
}

void encode(writer& to, const authentication_sasl_continue& message) {
  encode_request(to, request_code::sasl_continue, message.data);
}

void encode(writer& to, const authentication_sasl_final& message) {
  encode_request(to, request_code::sasl_final, message.data);
}

result<password_message> decode_password_message(bytes body) {
  reader in(body);
  const auto password = in.cstring();
  return in.finish(password_message{password});
}

result<sasl_initial_response> decode_sasl_initial_response(bytes body) {
  reader in(body);
  sasl_initial_response message;
  message.mechanism = in.cstring();
  message.data = in.value();
  return in.finish(message);
}

result<sasl_response> decode_sasl_response(bytes body) {
  return sasl_response{body};
}

result<gss_response> decode_gss_response(bytes body) {
  return gss_response{body};
}

void encode(writer& to, const password_message& message) {
  to.begin_message('p');
  to.cstring(message.password);
  to.end_message();
}

void encode(writer& to, const sasl_initial_response& message) {
  to.begin_message('p');
  to.cstring(message.mechanism);
  to.value(message.data);
  to.end_message();
}

void encode(writer& to, const sasl_response& message) {
  encode_response(to, message.data);
}

void encode(writer& to, const gss_response& message) {
  encode_response(to, message.data);
}

}  // namespace tidegate::protocol
