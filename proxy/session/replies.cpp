#include "proxy/session/replies.hpp"

#include "protocol/frame.hpp"
#include "protocol/reader.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"

#include <charconv>
#include <cstring>
#include <utility>

namespace tidegate::session {
namespace {

protocol::byte_buffer make(char type, std::string_view severity, const report& what) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message(type);
  const auto field = [&w](char letter, std::string_view text) {
    if (text.empty()) return;
    w.character(letter);
    w.cstring(text);
  };
  field('S', severity);
  field('V', severity);
  field('C', what.sqlstate);
  field('M', what.message);
  field('D', what.detail);
  field('H', what.hint);
  if (what.position > 0) field('P', std::to_string(what.position));
  field('s', what.schema);
  field('t', what.table);
  field('c', what.column);
  field('n', what.constraint);
  field('R', what.routine);
  w.character('\0');
  w.end_message();
  return out;
}

}  // namespace

protocol::byte_buffer error(const report& what) {
  return make('E', "ERROR", what);
}
report said(std::string message, std::string hint) {
  return {.sqlstate = std::string(protocol::sqlstate::successful_completion),
          .message = std::move(message),
          .hint = std::move(hint)};
}

protocol::byte_buffer notice(const report& what) {
  return make('N', "NOTICE", what);
}
protocol::byte_buffer warning(const report& what) {
  return make('N', "WARNING", what);
}

protocol::byte_buffer fatal(std::string_view sqlstate, std::string_view message) {
  return make('E', "FATAL", {.sqlstate = std::string(sqlstate), .message = std::string(message)});
}

protocol::byte_buffer ready_for_query(char transaction_status) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message('Z');
  w.character(transaction_status);
  w.end_message();
  return out;
}

int character_position(std::string_view text, std::int32_t byte_offset, bool utf8) {
  if (byte_offset < 0) return 0;
  const std::string_view before = text.substr(0, static_cast<std::size_t>(byte_offset));
  int characters = 1;
  for (const char c : before) {
    if (!utf8 || (static_cast<unsigned char>(c) & 0xc0) != 0x80) ++characters;
  }
  return characters;
}

std::string_view field_of(protocol::bytes message, char letter) {
  if (message.size() <= protocol::frame_header_size) return {};
  protocol::reader in(message.subspan(protocol::frame_header_size));
  for (;;) {
    const char found = in.character();
    if (found == '\0' || in.failed()) return {};
    const std::string_view text = in.cstring();
    if (in.failed()) return {};
    if (found == letter) return text;
  }
}

protocol::byte_buffer with_position_moved(protocol::bytes error_message, int at, int inserted) {
  protocol::byte_buffer out;
  protocol::writer w(out);
  w.begin_message(static_cast<char>(error_message[0]));
  protocol::reader in(error_message.subspan(protocol::frame_header_size));
  for (;;) {
    const char letter = in.character();
    if (letter == '\0' || in.failed()) break;
    const std::string_view text = in.cstring();
    w.character(letter);
    int position = 0;
    if (letter == 'P' &&
        std::from_chars(text.data(), text.data() + text.size(), position).ec == std::errc{} &&
        position >= at) {
      w.cstring(std::to_string(position - inserted < at ? at : position - inserted));
    } else {
      w.cstring(text);
    }
  }
  w.character('\0');
  w.end_message();
  return out;
}

bool is_fatal(protocol::bytes message) {
  if (static_cast<char>(message[0]) != 'E') return false;
  const std::string_view severity =
      field_of(message, 'V').empty() ? field_of(message, 'S') : field_of(message, 'V');
  return severity == "FATAL" || severity == "PANIC";
}

}  // namespace tidegate::session
