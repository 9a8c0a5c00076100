#pragma once
// Errors, notices and notifications. A server may leave out any field of an error, the SQLSTATE too
// (CVE-2026-6666 was a pooler that relied on it), and may add fields that nobody knows yet. Views point into
// the body. Pure; any thread. https://www.postgresql.org/docs/current/protocol-error-fields.html

#include "protocol/bytes.hpp"
#include "protocol/protocol_errc.hpp"
#include "protocol/writer.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tidegate::protocol {

struct unknown_field {
  char letter = '\0';
  std::string_view text;
};

// ErrorResponse and NoticeResponse have the same fields. Numbers stay text, as they are on the wire.
struct notice {
  using field = std::optional<std::string_view>;

  field severity;               // S: ERROR, FATAL, PANIC, WARNING, NOTICE, …, in the server's language
  field severity_untranslated;  // V: the same in English
  field sqlstate;               // C
  field message;                // M
  field detail;                 // D
  field hint;                   // H
  field position;               // P: character in the query, from 1
  field internal_position;      // p: the same in internal_query
  field internal_query;         // q
  field where;                  // W: call stack, outermost last
  field schema;                 // s
  field table;                  // t
  field column;                 // c
  field data_type;              // d
  field constraint;             // n
  field file;                   // F: in the server's source
  field line;                   // L
  field routine;                // R
  std::vector<unknown_field> others;

  // FATAL or PANIC: the server closes the connection behind it. From V, which is never translated, else from
  // S.
  bool ends_connection() const noexcept;
};

// Body of an ErrorResponse or a NoticeResponse. The last one counts when a field is repeated.
[[nodiscard]] result<notice> decode_notice(bytes body);

void encode_error_response(writer& to, const notice& message);
void encode_notice_response(writer& to, const notice& message);

// What LISTEN brings; comes at any time.
struct notification_response {
  std::int32_t process_id = 0;  // of the backend that notified
  std::string_view channel;
  std::string_view payload;
};

[[nodiscard]] result<notification_response> decode_notification_response(bytes body);
void encode(writer& to, const notification_response& message);

}  // namespace tidegate::protocol
