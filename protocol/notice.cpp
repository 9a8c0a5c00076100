#include "protocol/notice.hpp"

#include "protocol/reader.hpp"

#include <algorithm>
#include <array>

namespace tidegate::protocol {
namespace {

struct known_field {
  char letter;
  notice::field notice::*member;
};

// In the order in which PostgreSQL sends them.
constexpr std::array known_fields = {
    known_field{'S', &notice::severity},       known_field{'V', &notice::severity_untranslated},
    known_field{'C', &notice::sqlstate},       known_field{'M', &notice::message},
    known_field{'D', &notice::detail},         known_field{'H', &notice::hint},
    known_field{'W', &notice::where},          known_field{'s', &notice::schema},
    known_field{'t', &notice::table},          known_field{'c', &notice::column},
    known_field{'d', &notice::data_type},      known_field{'n', &notice::constraint},
    known_field{'P', &notice::position},       known_field{'p', &notice::internal_position},
    known_field{'q', &notice::internal_query}, known_field{'F', &notice::file},
    known_field{'L', &notice::line},           known_field{'R', &notice::routine},
};

void put(notice& message, char letter, std::string_view text) {
  const auto known = std::find_if(known_fields.begin(), known_fields.end(),
                                  [letter](const known_field& field) { return field.letter == letter; });
  if (known == known_fields.end()) {
    message.others.push_back({letter, text});
  } else {
    message.*known->member = text;
  }
}

void encode_fields(writer& to, char type, const notice& message) {
  to.begin_message(type);
  for (const auto& known : known_fields) {
    const auto& text = message.*known.member;
    if (!text) continue;
    to.character(known.letter);
    to.cstring(*text);
  }
  for (const auto& other : message.others) {
    to.character(other.letter);
    to.cstring(other.text);
  }
  to.character('\0');
  to.end_message();
}

}  // namespace

bool notice::ends_connection() const noexcept {
  const field& level = severity_untranslated ? severity_untranslated : severity;
  return level == "FATAL" || level == "PANIC";
}

result<notice> decode_notice(bytes body) {
  reader in(body);
  notice message;
  for (;;) {
    const char letter = in.character();
    if (in.failed() || letter == '\0') break;
    const auto text = in.cstring();
    if (!in.failed()) put(message, letter, text);
  }
  return in.finish(std::move(message));
}

void encode_error_response(writer& to, const notice& message) {
  encode_fields(to, 'E', message);
}

void encode_notice_response(writer& to, const notice& message) {
  encode_fields(to, 'N', message);
}

result<notification_response> decode_notification_response(bytes body) {
  reader in(body);
  notification_response message;
  message.process_id = in.int32();
  message.channel = in.cstring();
  message.payload = in.cstring();
  return in.finish(message);
}

void encode(writer& to, const notification_response& message) {
  to.begin_message('A');
  to.int32(message.process_id);
  to.cstring(message.channel);
  to.cstring(message.payload);
  to.end_message();
}

}  // namespace tidegate::protocol
