#include "protocol/copy.hpp"

#include "protocol/reader.hpp"

namespace tidegate::protocol {

result<copy_data> decode_copy_data(bytes body) {
  return copy_data{body};
}

result<copy_fail> decode_copy_fail(bytes body) {
  reader in(body);
  const auto reason = in.cstring();
  return in.finish(copy_fail{reason});
}

result<copy_response> decode_copy_response(copy_direction direction, bytes body) {
  reader in(body);
  copy_response message;
  message.direction = direction;
  const std::uint8_t overall = in.uint8();
  if (overall > static_cast<std::uint8_t>(format_code::binary)) in.fail(protocol_errc::bad_value);
  message.overall = overall == 0 ? format_code::text : format_code::binary;
  message.columns = read_format_codes(in);
  return in.finish(std::move(message));
}

void encode(writer& to, const copy_data& message) {
  to.begin_message('d');
  to.raw(message.data);
  to.end_message();
}

void encode(writer& to, copy_done) {
  to.begin_message('c');
  to.end_message();
}

void encode(writer& to, const copy_fail& message) {
  to.begin_message('f');
  to.cstring(message.reason);
  to.end_message();
}

void encode(writer& to, const copy_response& message) {
  to.begin_message(static_cast<char>(message.direction));
  to.uint8(static_cast<std::uint8_t>(message.overall));
  write_format_codes(to, message.columns);
  to.end_message();
}

}  // namespace tidegate::protocol
