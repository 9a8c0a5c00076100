#include "protocol/extended_query.hpp"

#include "protocol/reader.hpp"

namespace tidegate::protocol {
namespace {

std::vector<std::uint32_t> read_oids(reader& in) {
  const std::uint16_t count = in.count(sizeof(std::uint32_t));
  std::vector<std::uint32_t> oids;
  oids.reserve(count);
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) oids.push_back(in.uint32());
  return oids;
}

void write_oids(writer& to, const std::vector<std::uint32_t>& oids) {
  to.count(oids.size());
  for (const auto oid : oids) to.uint32(oid);
}

named_object read_kind(reader& in) {
  const char kind = in.character();
  if (kind != 'S' && kind != 'P') in.fail(protocol_errc::bad_value);
  return static_cast<named_object>(kind == 'P' ? 'P' : 'S');
}

bind_names read_names(reader& in) {
  bind_names names;
  names.portal = in.cstring();
  names.statement = in.cstring();
  return names;
}

void encode_empty(writer& to, char type) {
  to.begin_message(type);
  to.end_message();
}

void encode_named(writer& to, char type, named_object kind, std::string_view name) {
  to.begin_message(type);
  to.character(static_cast<char>(kind));
  to.cstring(name);
  to.end_message();
}

}  // namespace

result<parse> decode_parse(bytes body) {
  reader in(body);
  parse message;
  message.statement = in.cstring();
  message.query = in.cstring();
  message.parameter_types = read_oids(in);
  return in.finish(std::move(message));
}

result<bind> decode_bind(bytes body) {
  reader in(body);
  bind message;
  message.names = read_names(in);
  message.parameter_formats = read_format_codes(in);
  const std::uint16_t count = in.count(sizeof(std::int32_t));
  const std::size_t formats = message.parameter_formats.size();
  if (formats > 1 && formats != count) in.fail(protocol_errc::bad_count);
  message.parameters.reserve(count);
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) message.parameters.push_back(in.value());
  message.result_formats = read_format_codes(in);
  return in.finish(std::move(message));
}

result<bind_names> decode_bind_names(bytes body) {
  reader in(body);
  const bind_names names = read_names(in);
  if (in.failed()) return in.error();
  return names;
}

result<describe> decode_describe(bytes body) {
  reader in(body);
  describe message;
  message.kind = read_kind(in);
  message.name = in.cstring();
  return in.finish(message);
}

result<close> decode_close(bytes body) {
  reader in(body);
  close message;
  message.kind = read_kind(in);
  message.name = in.cstring();
  return in.finish(message);
}

result<execute> decode_execute(bytes body) {
  reader in(body);
  execute message;
  message.portal = in.cstring();
  message.max_rows = in.int32();
  return in.finish(message);
}

result<parameter_description> decode_parameter_description(bytes body) {
  reader in(body);
  auto types = read_oids(in);
  return in.finish(parameter_description{std::move(types)});
}

void encode(writer& to, const parse& message) {
  to.begin_message('P');
  to.cstring(message.statement);
  to.cstring(message.query);
  write_oids(to, message.parameter_types);
  to.end_message();
}

void encode(writer& to, const bind& message) {
  to.begin_message('B');
  to.cstring(message.names.portal);
  to.cstring(message.names.statement);
  write_format_codes(to, message.parameter_formats);
  to.count(message.parameters.size());
  for (const auto& parameter : message.parameters) to.value(parameter);
  write_format_codes(to, message.result_formats);
  to.end_message();
}

void encode(writer& to, const describe& message) {
  encode_named(to, 'D', message.kind, message.name);
}

void encode(writer& to, const close& message) {
  encode_named(to, 'C', message.kind, message.name);
}

void encode(writer& to, const execute& message) {
  to.begin_message('E');
  to.cstring(message.portal);
  to.int32(message.max_rows);
  to.end_message();
}

void encode(writer& to, sync) {
  encode_empty(to, 'S');
}

void encode(writer& to, flush) {
  encode_empty(to, 'H');
}

void encode(writer& to, parse_complete) {
  encode_empty(to, '1');
}

void encode(writer& to, bind_complete) {
  encode_empty(to, '2');
}

void encode(writer& to, close_complete) {
  encode_empty(to, '3');
}

void encode(writer& to, no_data) {
  encode_empty(to, 'n');
}

void encode(writer& to, portal_suspended) {
  encode_empty(to, 's');
}

void encode(writer& to, const parameter_description& message) {
  to.begin_message('t');
  write_oids(to, message.types);
  to.end_message();
}

}  // namespace tidegate::protocol
