#include "protocol/simple_query.hpp"

#include "protocol/reader.hpp"

namespace tidegate::protocol {
namespace {

constexpr std::size_t smallest_column = 1 + 4 + 2 + 4 + 2 + 4 + 2;  // with an empty name
constexpr std::size_t smallest_value = 4;                           // NULL or empty

std::vector<std::optional<bytes>> read_values(reader& in) {
  const std::uint16_t count = in.count(smallest_value);
  std::vector<std::optional<bytes>> values;
  values.reserve(count);
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) values.push_back(in.value());
  return values;
}

void write_values(writer& to, const std::vector<std::optional<bytes>>& values) {
  to.count(values.size());
  for (const auto& value : values) to.value(value);
}

column_description read_column(reader& in) {
  column_description column;
  column.name = in.cstring();
  column.table_oid = in.uint32();
  column.column_number = in.int16();
  column.type_oid = in.uint32();
  column.type_size = in.int16();
  column.type_modifier = in.int32();
  column.format = read_format_code(in);
  return column;
}

}  // namespace

result<query> decode_query(bytes body) {
  reader in(body);
  const auto text = in.cstring();
  return in.finish(query{text});
}

result<row_description> decode_row_description(bytes body) {
  reader in(body);
  row_description message;
  const std::uint16_t count = in.count(smallest_column);
  message.columns.reserve(count);
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) message.columns.push_back(read_column(in));
  return in.finish(std::move(message));
}

result<data_row> decode_data_row(bytes body) {
  reader in(body);
  auto values = read_values(in);
  return in.finish(data_row{std::move(values)});
}

result<command_complete> decode_command_complete(bytes body) {
  reader in(body);
  const auto tag = in.cstring();
  return in.finish(command_complete{tag});
}

result<function_call> decode_function_call(bytes body) {
  reader in(body);
  function_call message;
  message.function_oid = in.uint32();
  message.argument_formats = read_format_codes(in);
  message.arguments = read_values(in);
  const std::size_t formats = message.argument_formats.size();
  if (formats > 1 && formats != message.arguments.size()) in.fail(protocol_errc::bad_count);
  message.result_format = read_format_code(in);
  return in.finish(std::move(message));
}

result<function_call_response> decode_function_call_response(bytes body) {
  reader in(body);
  const auto value = in.value();
  return in.finish(function_call_response{value});
}

void encode(writer& to, const query& message) {
  to.begin_message('Q');
  to.cstring(message.text);
  to.end_message();
}

void encode(writer& to, const row_description& message) {
  to.begin_message('T');
  to.count(message.columns.size());
  for (const auto& column : message.columns) {
    to.cstring(column.name);
    to.uint32(column.table_oid);
    to.int16(column.column_number);
    to.uint32(column.type_oid);
    to.int16(column.type_size);
    to.int32(column.type_modifier);
    to.uint16(static_cast<std::uint16_t>(column.format));
  }
  to.end_message();
}

void encode(writer& to, const data_row& message) {
  to.begin_message('D');
  write_values(to, message.values);
  to.end_message();
}

void encode(writer& to, const command_complete& message) {
  to.begin_message('C');
  to.cstring(message.tag);
  to.end_message();
}

void encode(writer& to, empty_query_response) {
  to.begin_message('I');
  to.end_message();
}

void encode(writer& to, const function_call& message) {
  to.begin_message('F');
  to.uint32(message.function_oid);
  write_format_codes(to, message.argument_formats);
  write_values(to, message.arguments);
  to.uint16(static_cast<std::uint16_t>(message.result_format));
  to.end_message();
}

void encode(writer& to, const function_call_response& message) {
  to.begin_message('V');
  to.value(message.value);
  to.end_message();
}

}  // namespace tidegate::protocol
