#pragma once
// Conversations in the bytes of the wire, for what bench/ measures with.

#include "protocol/authentication.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/session_info.hpp"
#include "protocol/simple_query.hpp"
#include "protocol/startup.hpp"

#include <string_view>

namespace tidegate::bench {

inline constexpr std::string_view point_select = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711";
inline constexpr std::string_view point_select_with_parameter =
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1";

// The messages one after the other.
template <typename... Message>
protocol::byte_buffer encoded(const Message&... messages) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  (encode(w, messages), ...);
  return out;
}

inline void append(protocol::byte_buffer& to, const protocol::byte_buffer& more) {
  to.insert(to.end(), more.begin(), more.end());
}

inline protocol::bind bind_one_value(std::string_view statement) {
  return {.names = {.portal = "", .statement = statement},
          .parameter_formats = {},
          .parameters = {protocol::as_bytes("4711")},
          .result_formats = {}};
}

inline protocol::row_description one_column() {
  return {.columns = {{.name = "abalance", .type_oid = 23, .type_size = 4}}};
}

inline protocol::data_row one_value(std::string_view value = "1") {
  return {.values = {protocol::as_bytes(value)}};
}

}  // namespace tidegate::bench
