#pragma once
// What the gateway itself says to a client: errors, notices, ReadyForQuery. Whole messages, ready to send.

#include "protocol/bytes.hpp"

#include <string>
#include <string_view>

namespace tidegate::session {

// The fields of an ErrorResponse or NoticeResponse; empty ones are left out.
struct report {
  std::string sqlstate;
  std::string message;
  std::string detail;
  std::string hint;
  int position = 0;  // 1-based, in characters of the query string; 0: none
  std::string schema, table, column, constraint;
  std::string routine = {};  // of an error of PostgreSQL's that drivers know by it
};

protocol::byte_buffer error(const report& what);
protocol::byte_buffer fatal(std::string_view sqlstate, std::string_view message);
// What a NOTICE says of something that goes well.
report said(std::string message, std::string hint = {});
protocol::byte_buffer notice(const report& what);
protocol::byte_buffer warning(const report& what);
protocol::byte_buffer ready_for_query(char transaction_status);

// Byte offset in a query string -> 1-based position in characters, as PostgreSQL counts them in the client's
// encoding (UTF-8; other encodings are counted by bytes).
int character_position(std::string_view text, std::int32_t byte_offset, bool utf8);

// A field of an ErrorResponse or NoticeResponse of the server, by its letter; empty when it is not there.
std::string_view field_of(protocol::bytes message, char letter);
// An ErrorResponse behind which the server ends the connection.
bool is_fatal(protocol::bytes message);

// The server's ErrorResponse with its position moved: statements that were sent with `inserted` extra
// characters at character `at` (1-based) report positions in the text the client wrote.
protocol::byte_buffer with_position_moved(protocol::bytes error_message, int at, int inserted);

}  // namespace tidegate::session
