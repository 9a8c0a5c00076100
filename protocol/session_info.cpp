#include "protocol/session_info.hpp"

#include "protocol/reader.hpp"
#include "protocol/startup.hpp"

namespace tidegate::protocol {

result<parameter_status> decode_parameter_status(bytes body) {
  reader in(body);
  parameter_status message;
  message.name = in.cstring();
  message.value = in.cstring();
  return in.finish(message);
}

result<backend_key_data> decode_backend_key_data(bytes body) {
  reader in(body);
  backend_key_data message;
  message.process_id = in.int32();
  message.key = in.rest();
  if (message.key.size() < min_cancel_key_size || message.key.size() > max_cancel_key_size) {
    in.fail(protocol_errc::bad_length);
  }
  return in.finish(message);
}

result<ready_for_query> decode_ready_for_query(bytes body) {
  reader in(body);
  const char status = in.character();
  if (status != 'I' && status != 'T' && status != 'E') in.fail(protocol_errc::bad_value);
  return in.finish(ready_for_query{static_cast<transaction_status>(status)});
}

void encode(writer& to, const parameter_status& message) {
  to.begin_message('S');
  to.cstring(message.name);
  to.cstring(message.value);
  to.end_message();
}

void encode(writer& to, const backend_key_data& message) {
  to.begin_message('K');
  to.int32(message.process_id);
  to.raw(message.key);
  to.end_message();
}

void encode(writer& to, ready_for_query message) {
  to.begin_message('Z');
  to.character(static_cast<char>(message.status));
  to.end_message();
}

void encode(writer& to, terminate) {
  to.begin_message('X');
  to.end_message();
}

}  // namespace tidegate::protocol
