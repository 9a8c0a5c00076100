#include "proxy/session/greeting.hpp"

#include "protocol/authentication.hpp"
#include "protocol/session_info.hpp"
#include "protocol/writer.hpp"

namespace tidegate::session {

protocol::byte_buffer greet(const accepted_client& client, protocol::bytes before,
                            const std::vector<pool::parameter>& parameters, char transaction_status,
                            const pool::cancel_registration& cancel) {
  protocol::byte_buffer out;
  out.reserve(client.welcome.size() + before.size() + 128);
  out = client.welcome;
  protocol::writer to(out);
  encode(to, protocol::authentication_ok{});
  to.raw(before);
  for (const pool::parameter& each : parameters)
    encode(to, protocol::parameter_status{each.name, each.value});
  if (cancel) encode(to, protocol::backend_key_data{cancel.pid(), cancel.key()});
  encode(to, protocol::ready_for_query{static_cast<protocol::transaction_status>(transaction_status)});
  return out;
}

}  // namespace tidegate::session
