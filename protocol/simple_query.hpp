#pragma once
// A query string and what comes back, and the legacy call of a function by its oid. Result messages are the
// same in the extended protocol. Views point into the body. Pure; any thread.
// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY

#include "protocol/bytes.hpp"
#include "protocol/format_code.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tidegate::protocol {

// One string, any number of statements.
struct query {
  std::string_view text;
};

struct column_description {
  std::string_view name;
  std::uint32_t table_oid = 0;     // 0: not a column of a table
  std::int16_t column_number = 0;  // 0: likewise
  std::uint32_t type_oid = 0;
  std::int16_t type_size = 0;  // negative: variable
  std::int32_t type_modifier = -1;
  format_code format = format_code::text;  // always text in the answer to Describe of a statement
};

struct row_description {
  std::vector<column_description> columns;
};

// Each value in the format of its column; nothing for NULL.
struct data_row {
  std::vector<std::optional<bytes>> values;
};

struct command_complete {
  std::string_view tag;  // "INSERT 0 1", "ALTER TABLE"
};

struct empty_query_response {};

struct function_call {
  std::uint32_t function_oid = 0;
  std::vector<format_code> argument_formats;  // none, one for all, or one each
  std::vector<std::optional<bytes>> arguments;
  format_code result_format = format_code::text;
};

struct function_call_response {
  std::optional<bytes> value;
};

[[nodiscard]] result<query> decode_query(bytes body);
[[nodiscard]] result<row_description> decode_row_description(bytes body);
[[nodiscard]] result<data_row> decode_data_row(bytes body);
[[nodiscard]] result<command_complete> decode_command_complete(bytes body);
[[nodiscard]] result<function_call> decode_function_call(bytes body);
[[nodiscard]] result<function_call_response> decode_function_call_response(bytes body);

void encode(writer& to, const query& message);
void encode(writer& to, const row_description& message);
void encode(writer& to, const data_row& message);
void encode(writer& to, const command_complete& message);
void encode(writer& to, empty_query_response);
void encode(writer& to, const function_call& message);
void encode(writer& to, const function_call_response& message);

}  // namespace tidegate::protocol
