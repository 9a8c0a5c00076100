#pragma once
// Messages and settings of the gateway's own, on a session's server connection.

#include "policies/sql/quote.hpp"
#include "protocol/extended_query.hpp"
#include "protocol/writer.hpp"
#include "proxy/core/pipeline.hpp"

#include <string>
#include <string_view>

namespace tidegate::session {

inline void close_statement(protocol::writer& w, std::string_view name) {
  protocol::encode(w, protocol::close{protocol::named_object::statement, std::string(name)});
}

inline void describe_statement(protocol::writer& w, std::string_view name) {
  protocol::encode(w, protocol::describe{protocol::named_object::statement, std::string(name)});
}

// `body`: of a Parse, behind the name.
inline void parse_statement(protocol::writer& w, std::string_view name, core::byte_view body) {
  w.begin_message('P');
  w.cstring(name);
  w.raw(body);
  w.end_message();
}

inline protocol::byte_buffer query_message(std::string_view text) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message('Q');
  w.cstring(text);
  w.end_message();
  return out;
}

inline std::string set_session_lock_timeout(std::string_view value) {
  return "SELECT pg_catalog.set_config('lock_timeout', " + sql::quote_literal(value) + ", false)";
}

}  // namespace tidegate::session
