#pragma once
// Messages of either side for the tests of the pure core, whole, with a right length.

#include "protocol/bytes.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tidegate::core {

inline std::string message(char type, std::string_view body = {}) {
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  std::string out(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(length >> shift & 0xff);
  return out.append(body);
}

// A body of NUL-terminated strings.
inline std::string strings(std::initializer_list<std::string_view> values) {
  std::string out;
  for (const std::string_view value : values) out.append(value).push_back('\0');
  return out;
}

inline std::string query(std::string_view sql) {
  return message('Q', strings({sql}));
}
inline std::string parse(std::string_view sql, std::string_view name = {}) {
  return message('P', strings({name, sql}) + std::string(2, '\0'));
}
inline std::string bind(std::string_view statement = {}, std::string_view portal = {}) {
  return message('B', strings({portal, statement}) + std::string(6, '\0'));
}
inline std::string execute(std::string_view portal = {}) {
  return message('E', strings({portal}) + std::string(4, '\0'));
}
inline std::string close(char kind, std::string_view name) {
  return message('C', kind + strings({name}));
}
inline std::string sync() {
  return message('S');
}

inline std::string ready(char status = 'I') {
  return message('Z', std::string(1, status));
}
inline std::string complete(std::string_view tag) {
  return message('C', strings({tag}));
}
inline std::string failure(std::string_view sqlstate) {
  return message('E',
                 std::string("SERROR") + '\0' + "C" + std::string(sqlstate) + '\0' + "Mwhat" + '\0' + '\0');
}
inline std::string parameter(std::string_view name, std::string_view value) {
  return message('S', strings({name, value}));
}

inline protocol::bytes view(std::string_view text) {
  return protocol::as_bytes(text);
}

}  // namespace tidegate::core
