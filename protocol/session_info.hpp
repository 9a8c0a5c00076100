#pragma once
// What a server says about the session itself, and the client's farewell. Views point into the body. Pure;
// any thread.

#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <cstdint>
#include <string_view>

namespace tidegate::protocol {

// A setting that the server reports (GUC_REPORT), at login and after each change.
struct parameter_status {
  std::string_view name;
  std::string_view value;
};

// What a CancelRequest has to present. The key is 4 bytes in protocol 3.0 and 4 to 256 in 3.2.
struct backend_key_data {
  std::int32_t process_id = 0;
  bytes key;
};

enum class transaction_status : char {
  idle = 'I',            // outside a transaction
  in_transaction = 'T',  // inside one
  failed = 'E',          // inside one that only ROLLBACK can end
};

struct ready_for_query {
  transaction_status status = transaction_status::idle;
};

struct terminate {};

[[nodiscard]] result<parameter_status> decode_parameter_status(bytes body);
[[nodiscard]] result<backend_key_data> decode_backend_key_data(bytes body);
[[nodiscard]] result<ready_for_query> decode_ready_for_query(bytes body);

void encode(writer& to, const parameter_status& message);
void encode(writer& to, const backend_key_data& message);
void encode(writer& to, ready_for_query message);
void encode(writer& to, terminate);

}  // namespace tidegate::protocol
