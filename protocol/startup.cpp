#include "protocol/startup.hpp"

#include "protocol/reader.hpp"

namespace tidegate::protocol {
namespace {

// Codes in the place of a version number: 1234 in the upper half, so that no version can ever be one.
constexpr std::uint32_t cancel_request_code = 80877102;
constexpr std::uint32_t ssl_request_code = 80877103;
constexpr std::uint32_t gssenc_request_code = 80877104;

result<startup_packet> decode_cancel_request(reader& in) {
  cancel_request message;
  message.process_id = in.int32();
  message.key = in.rest();
  if (message.key.size() < min_cancel_key_size || message.key.size() > max_cancel_key_size) {
    in.fail(protocol_errc::bad_length);
  }
  return in.finish<startup_packet>(message);
}

result<startup_packet> decode_parameters(reader& in, protocol_version version) {
  startup_message message{version, {}};
  for (;;) {
    const std::string_view name = in.cstring();
    if (in.failed() || name.empty()) break;  // an empty name ends the list
    message.parameters.push_back({name, in.cstring()});
  }
  return in.finish<startup_packet>(std::move(message));
}

void encode_code(writer& to, std::uint32_t code) {
  to.begin_startup_packet();
  to.uint32(code);
  to.end_message();
}

}  // namespace

std::optional<std::string_view> startup_message::find(std::string_view name) const noexcept {
  for (auto at = parameters.rbegin(); at != parameters.rend(); ++at) {
    if (at->name == name) return at->value;
  }
  return std::nullopt;
}

std::string_view startup_message::user() const noexcept {
  return find("user").value_or(std::string_view{});
}

std::string_view startup_message::database() const noexcept {
  const auto name = find("database");
  return name && !name->empty() ? *name : user();
}

std::vector<std::string_view> startup_message::protocol_options() const {
  std::vector<std::string_view> names;
  for (const auto& parameter : parameters) {
    if (parameter.name.starts_with(protocol_option_prefix)) names.push_back(parameter.name);
  }
  return names;
}

bool is_cancel_request(bytes body) {
  reader in(body);
  return in.uint32() == cancel_request_code && !in.failed();
}

result<startup_packet> decode_startup_packet(bytes body) {
  reader in(body);
  const std::uint32_t code = in.uint32();
  if (in.failed()) return in.error();
  switch (code) {
    case cancel_request_code:
      return decode_cancel_request(in);
    case ssl_request_code:
      return in.finish<startup_packet>(ssl_request{});
    case gssenc_request_code:
      return in.finish<startup_packet>(gssenc_request{});
    default:
      break;
  }
  const auto version = protocol_version::from_number(code);
  if (version.major != protocol_3_0.major) return startup_packet{unknown_version{version}};
  return decode_parameters(in, version);
}

void encode(writer& to, const startup_message& message) {
  to.begin_startup_packet();
  to.uint32(message.version.number());
  for (const auto& [name, value] : message.parameters) {
    to.cstring(name);
    to.cstring(value);
  }
  to.cstring({});
  to.end_message();
}

void encode(writer& to, ssl_request) {
  encode_code(to, ssl_request_code);
}

void encode(writer& to, gssenc_request) {
  encode_code(to, gssenc_request_code);
}

void encode(writer& to, const cancel_request& message) {
  to.begin_startup_packet();
  to.uint32(cancel_request_code);
  to.int32(message.process_id);
  to.raw(message.key);
  to.end_message();
}

result<negotiate_protocol_version> decode_negotiate_protocol_version(bytes body) {
  reader in(body);
  negotiate_protocol_version message;
  message.newest = protocol_version::from_number(in.uint32());
  const std::uint32_t options = in.count32(1);
  message.unknown_options.reserve(options);
  for (std::uint32_t i = 0; i < options && !in.failed(); ++i) message.unknown_options.push_back(in.cstring());
  return in.finish(std::move(message));
}

void encode(writer& to, const negotiate_protocol_version& message) {
  to.begin_message('v');
  to.uint32(message.newest.number());
  to.uint32(static_cast<std::uint32_t>(message.unknown_options.size()));
  for (const auto name : message.unknown_options) to.cstring(name);
  to.end_message();
}

}  // namespace tidegate::protocol
