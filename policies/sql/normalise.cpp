#include "policies/sql/normalise.hpp"

#include "policies/sql/lexer.hpp"

#include <algorithm>

namespace tidegate::sql {
namespace {

constexpr std::string_view commands[] = {
    "ABORT",  "ALTER",    "ANALYZE",  "BEGIN",      "CALL",     "CHECKPOINT", "CLOSE",   "CLUSTER", "COMMENT",
    "COMMIT", "COPY",     "CREATE",   "DEALLOCATE", "DECLARE",  "DELETE",     "DISCARD", "DO",      "DROP",
    "END",    "EXECUTE",  "EXPLAIN",  "FETCH",      "GRANT",    "IMPORT",     "INSERT",  "LISTEN",  "LOAD",
    "LOCK",   "MERGE",    "MOVE",     "NOTIFY",     "PREPARE",  "REASSIGN",   "REFRESH", "REINDEX", "RELEASE",
    "RESET",  "REVOKE",   "ROLLBACK", "SAVEPOINT",  "SECURITY", "SELECT",     "SET",     "SHOW",    "START",
    "TABLE",  "TRUNCATE", "UNLISTEN", "UPDATE",     "VACUUM",   "VALUES",     "WITH"};

bool equals_upper(std::string_view word, std::string_view upper) {
  return std::equal(word.begin(), word.end(), upper.begin(), upper.end(), [](char a, char b) {
    return (a >= 'a' && a <= 'z' ? static_cast<char>(a & ~0x20) : a) == b;
  });
}

bool is_literal(token_kind kind) {
  switch (kind) {
    case token_kind::string:
    case token_kind::escape_string:
    case token_kind::unicode_string:
    case token_kind::bit_string:
    case token_kind::dollar_string:
    case token_kind::number:
      return true;
    default:
      return false;
  }
}

// A literal whose end depends on settings that are not known for certain.
bool is_doubtful(const token& t, lexical_settings settings) {
  return t.kind == token_kind::odd || (t.backslash && !settings.standard_conforming_strings &&
                                       (t.kind == token_kind::string || t.kind == token_kind::bit_string));
}

}  // namespace

std::string normalise(std::string_view text, lexical_settings settings, std::size_t limit) {
  const auto high = [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; };
  const std::string only_command(command_word(text));
  if (text.find('\0') != std::string_view::npos) return only_command;
  if (!settings.ascii_safe_encoding && std::any_of(text.begin(), text.end(), high)) return only_command;
  std::string shape;
  lexer tokens(text);
  std::size_t behind = 0;  // the token before
  // All of it is read, also behind the limit: a doubt there makes the beginning doubtful too.
  for (token t = tokens.next(); t.kind != token_kind::end; t = tokens.next()) {
    if (is_doubtful(t, settings)) return only_command;
    const bool apart = t.begin > behind;
    behind = t.end;
    if (shape.size() >= limit) continue;
    if (apart && !shape.empty()) shape += ' ';
    shape += is_literal(t.kind) ? std::string_view("?") : text.substr(t.begin, t.size());
  }
  if (shape.size() > limit) {
    // Not in the middle of a character of UTF-8.
    while (limit > 0 && (static_cast<unsigned char>(shape[limit]) & 0xc0) == 0x80) --limit;
    shape.resize(limit);
  }
  return shape;
}

std::string_view command_word(std::string_view text) {
  lexer tokens(text);
  token first = tokens.next();
  while (first.kind == token_kind::punctuation && (text[first.begin] == '(' || text[first.begin] == ';'))
    first = tokens.next();
  if (first.kind != token_kind::word) return {};
  const std::string_view word = text.substr(first.begin, first.size());
  const auto found = std::find_if(std::begin(commands), std::end(commands),
                                  [word](std::string_view command) { return equals_upper(word, command); });
  return found == std::end(commands) ? std::string_view{} : *found;
}

}  // namespace tidegate::sql
