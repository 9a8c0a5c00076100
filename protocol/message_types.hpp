#pragma once
// Every message of protocol 3.0 and 3.2, as the manual lists them: letter, name, who sends it, in which
// exchange, how long it may be. A message is added here, in the file of its family, in its unit test and as a
// fuzz seed. https://www.postgresql.org/docs/current/protocol-message-formats.html Pure and constexpr; any
// thread.

#include "protocol/frame.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace tidegate::protocol {

// Type bytes of what a client sends.
enum class frontend_type : char {
  bind = 'B',
  close = 'C',
  copy_data = 'd',
  copy_done = 'c',
  copy_fail = 'f',
  describe = 'D',
  execute = 'E',
  flush = 'H',
  function_call = 'F',
  parse = 'P',
  password = 'p',  // also SASLInitialResponse, SASLResponse, GSSResponse: the dialogue tells which
  query = 'Q',
  sync = 'S',
  terminate = 'X',
};

// Type bytes of what a server sends.
enum class backend_type : char {
  authentication = 'R',  // all Authentication… messages: an Int32 tells which (authentication.hpp)
  backend_key_data = 'K',
  bind_complete = '2',
  close_complete = '3',
  command_complete = 'C',
  copy_both_response = 'W',
  copy_data = 'd',
  copy_done = 'c',
  copy_in_response = 'G',
  copy_out_response = 'H',
  data_row = 'D',
  empty_query_response = 'I',
  error_response = 'E',
  function_call_response = 'V',
  negotiate_protocol_version = 'v',
  no_data = 'n',
  notice_response = 'N',
  notification_response = 'A',
  parameter_description = 't',
  parameter_status = 'S',
  parse_complete = '1',
  portal_suspended = 's',
  ready_for_query = 'Z',
  row_description = 'T',
};

enum class sender : std::uint8_t { frontend, backend, both };

enum class exchange : std::uint8_t {
  startup,         // before and around login: negotiation, keys, cancel requests
  authentication,  // who the client is
  simple_query,    // Query and its results
  extended_query,  // Parse, Bind, Execute … Sync
  function_call,   // the legacy call by oid
  copy,            // COPY in both directions and replication
  any_time,        // notices, notifications and parameters may come between any two messages
  termination,
};

struct message_type {
  char letter;  // '\0': a packet of the startup family, without a type byte
  std::string_view name;
  sender from;
  exchange in;
  std::uint32_t max_length;  // of the length field; PostgreSQL refuses a client's message beyond it
};

namespace lengths {
inline constexpr std::uint32_t startup = max_startup_length;
inline constexpr std::uint32_t token = max_authentication_length;
inline constexpr std::uint32_t small = 10000;  // PQ_SMALL_MESSAGE_LIMIT
inline constexpr std::uint32_t large = max_frontend_length;
inline constexpr std::uint32_t server = max_backend_length;
}  // namespace lengths

// clang-format off
inline constexpr std::array message_table = {
    // letter  name                             sender             exchange                  longest
    message_type{'\0', "StartupMessage",           sender::frontend, exchange::startup,        lengths::startup},
    message_type{'\0', "SSLRequest",               sender::frontend, exchange::startup,        lengths::startup},
    message_type{'\0', "GSSENCRequest",            sender::frontend, exchange::startup,        lengths::startup},
    message_type{'\0', "CancelRequest",            sender::frontend, exchange::startup,        lengths::startup},
    message_type{'v',  "NegotiateProtocolVersion", sender::backend,  exchange::startup,        lengths::server},
    message_type{'K',  "BackendKeyData",           sender::backend,  exchange::startup,        lengths::server},

    message_type{'R',  "AuthenticationOk",         sender::backend,  exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationKerberosV5", sender::backend,  exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationCleartextPassword", sender::backend, exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationMD5Password", sender::backend, exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationGSS",        sender::backend,  exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationGSSContinue", sender::backend, exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationSSPI",       sender::backend,  exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationSASL",       sender::backend,  exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationSASLContinue", sender::backend, exchange::authentication, lengths::server},
    message_type{'R',  "AuthenticationSASLFinal",  sender::backend,  exchange::authentication, lengths::server},
    message_type{'p',  "PasswordMessage",          sender::frontend, exchange::authentication, lengths::token},
    message_type{'p',  "SASLInitialResponse",      sender::frontend, exchange::authentication, lengths::token},
    message_type{'p',  "SASLResponse",             sender::frontend, exchange::authentication, lengths::token},
    message_type{'p',  "GSSResponse",              sender::frontend, exchange::authentication, lengths::token},

    message_type{'Q',  "Query",                    sender::frontend, exchange::simple_query,   lengths::large},
    message_type{'T',  "RowDescription",           sender::backend,  exchange::simple_query,   lengths::server},
    message_type{'D',  "DataRow",                  sender::backend,  exchange::simple_query,   lengths::server},
    message_type{'C',  "CommandComplete",          sender::backend,  exchange::simple_query,   lengths::server},
    message_type{'I',  "EmptyQueryResponse",       sender::backend,  exchange::simple_query,   lengths::server},
    message_type{'Z',  "ReadyForQuery",            sender::backend,  exchange::simple_query,   lengths::server},

    message_type{'P',  "Parse",                    sender::frontend, exchange::extended_query, lengths::large},
    message_type{'B',  "Bind",                     sender::frontend, exchange::extended_query, lengths::large},
    message_type{'D',  "Describe",                 sender::frontend, exchange::extended_query, lengths::small},
    message_type{'E',  "Execute",                  sender::frontend, exchange::extended_query, lengths::small},
    message_type{'C',  "Close",                    sender::frontend, exchange::extended_query, lengths::small},
    message_type{'H',  "Flush",                    sender::frontend, exchange::extended_query, lengths::small},
    message_type{'S',  "Sync",                     sender::frontend, exchange::extended_query, lengths::small},
    message_type{'1',  "ParseComplete",            sender::backend,  exchange::extended_query, lengths::server},
    message_type{'2',  "BindComplete",             sender::backend,  exchange::extended_query, lengths::server},
    message_type{'3',  "CloseComplete",            sender::backend,  exchange::extended_query, lengths::server},
    message_type{'n',  "NoData",                   sender::backend,  exchange::extended_query, lengths::server},
    message_type{'t',  "ParameterDescription",     sender::backend,  exchange::extended_query, lengths::server},
    message_type{'s',  "PortalSuspended",          sender::backend,  exchange::extended_query, lengths::server},

    message_type{'F',  "FunctionCall",             sender::frontend, exchange::function_call,  lengths::large},
    message_type{'V',  "FunctionCallResponse",     sender::backend,  exchange::function_call,  lengths::server},

    message_type{'d',  "CopyData",                 sender::both,     exchange::copy,           lengths::large},
    message_type{'c',  "CopyDone",                 sender::both,     exchange::copy,           lengths::small},
    message_type{'f',  "CopyFail",                 sender::frontend, exchange::copy,           lengths::small},
    message_type{'G',  "CopyInResponse",           sender::backend,  exchange::copy,           lengths::server},
    message_type{'H',  "CopyOutResponse",          sender::backend,  exchange::copy,           lengths::server},
    message_type{'W',  "CopyBothResponse",         sender::backend,  exchange::copy,           lengths::server},

    message_type{'E',  "ErrorResponse",            sender::backend,  exchange::any_time,       lengths::server},
    message_type{'N',  "NoticeResponse",           sender::backend,  exchange::any_time,       lengths::server},
    message_type{'A',  "NotificationResponse",     sender::backend,  exchange::any_time,       lengths::server},
    message_type{'S',  "ParameterStatus",          sender::backend,  exchange::any_time,       lengths::server},

    message_type{'X',  "Terminate",                sender::frontend, exchange::termination,    lengths::small},
};
// clang-format on

namespace detail {
// Row of the table by letter, for one side; -1 where the side sends no such type.
constexpr std::array<signed char, 256> rows_by_letter(sender side) {
  std::array<signed char, 256> rows{};
  rows.fill(-1);
  for (std::size_t row = 0; row < message_table.size(); ++row) {
    const message_type& type = message_table[row];
    if (type.letter == '\0' || (type.from != side && type.from != sender::both)) continue;
    signed char& at = rows[static_cast<unsigned char>(type.letter)];
    if (at == -1) at = static_cast<signed char>(row);
  }
  return rows;
}
static_assert(message_table.size() < 128);
inline constexpr auto frontend_rows = rows_by_letter(sender::frontend);
inline constexpr auto backend_rows = rows_by_letter(sender::backend);
}  // namespace detail

// The row of a type byte; null when that side has no such message. Where several messages share a letter
// ('p', 'R') it is the first of them. One table look-up.
constexpr const message_type* find_frontend_type(char letter) noexcept {
  const auto row = detail::frontend_rows[static_cast<unsigned char>(letter)];
  return row < 0 ? nullptr : &message_table[static_cast<std::size_t>(row)];
}

constexpr const message_type* find_backend_type(char letter) noexcept {
  const auto row = detail::backend_rows[static_cast<unsigned char>(letter)];
  return row < 0 ? nullptr : &message_table[static_cast<std::size_t>(row)];
}

}  // namespace tidegate::protocol
