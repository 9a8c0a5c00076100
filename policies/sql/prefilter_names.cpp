// The parts of the pre-filter that look at names: mentions_any and is_replication_command.

#include "policies/sql/lexer.hpp"
#include "policies/sql/prefilter.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>

namespace tidegate::sql {
namespace {

constexpr std::size_t longest_name = 63;      // NAMEDATALEN - 1: what is longer is cut
constexpr std::size_t longest_character = 4;  // a cut keeps whole characters

bool is_high(char c) {
  return (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool has_high_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_high);
}
char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool equal(std::string_view a, std::string_view b, bool folded) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [folded](char x, char y) { return (folded ? fold(x) : x) == y; });
}

// Whether the spelling (without quotes) may name `name`.
bool may_be(std::string_view spelling, std::string_view name, bool folded) {
  // How a byte behind 0x7f is folded or converted depends on encodings that are not known here.
  if (has_high_byte(spelling) && has_high_byte(name)) return true;
  if (spelling.size() > longest_name && name.size() + longest_character > longest_name)
    return equal(spelling.substr(0, name.size()), name, folded);
  return equal(spelling, name, folded);
}

// "a""b" names a"b.
bool may_be_quoted(std::string_view spelling, std::string_view name) {
  if (spelling.find('"') != std::string_view::npos) return true;
  return may_be(spelling, name, false);
}

bool contains_folded(std::string_view text, std::string_view name) {
  if (has_high_byte(text) && has_high_byte(name)) return true;
  return std::search(text.begin(), text.end(), name.begin(), name.end(),
                     [](char x, char y) { return fold(x) == fold(y); }) != text.end();
}

}  // namespace

bool mentions_any(std::string_view text, lexical_settings settings, std::span<const std::string_view> names) {
  if (names.empty()) return false;
  if (!settings.ascii_safe_encoding && has_high_byte(text)) return true;
  const auto any = [&names](auto test) { return std::any_of(names.begin(), names.end(), test); };
  lexer tokens(text);
  bool statement_begins = true;
  bool inside_do = false;
  for (token t = tokens.next(); t.kind != token_kind::end; t = tokens.next()) {
    const std::string_view spelling = text.substr(t.begin, t.size());
    switch (t.kind) {
      case token_kind::word:
        if (statement_begins) inside_do = equals_folded(spelling, "do");
        if (any([&](std::string_view name) { return may_be(spelling, name, true); })) return true;
        break;
      case token_kind::quoted_identifier: {
        const std::string_view inside = spelling.substr(1, spelling.size() - 2);
        if (any([&](std::string_view name) { return may_be_quoted(inside, name); })) return true;
        break;
      }
      case token_kind::dollar_string:
        if (any([&](std::string_view name) { return contains_folded(spelling, name); })) return true;
        break;
      case token_kind::escape_string:
        if (inside_do) return true;
        break;
      case token_kind::string:
      case token_kind::bit_string:
        if (t.backslash && !settings.standard_conforming_strings) return true;
        if (inside_do && any([&](std::string_view name) { return contains_folded(spelling, name); }))
          return true;
        break;
      case token_kind::odd:
      case token_kind::unicode_identifier:
      case token_kind::unicode_string:
        return true;
      default:
        break;
    }
    statement_begins = spelling == ";";
  }
  return false;
}

std::optional<std::vector<std::string>> identifiers_of(std::string_view text, lexical_settings settings) {
  if (!settings.ascii_safe_encoding && has_high_byte(text)) return std::nullopt;
  std::vector<std::string> found;
  lexer tokens(text);
  for (token t = tokens.next(); t.kind != token_kind::end; t = tokens.next()) {
    const std::string_view spelling = text.substr(t.begin, t.size());
    std::string name;
    switch (t.kind) {
      case token_kind::word:
        if (has_high_byte(spelling)) return std::nullopt;  // folded by the server's locale
        for (const char c : spelling) name += fold(c);
        break;
      case token_kind::quoted_identifier:
        for (std::size_t i = 1; i + 1 < spelling.size(); ++i) {
          name += spelling[i];
          if (spelling[i] == '"') ++i;  // "a""b" names a"b
        }
        break;
      case token_kind::string:
      case token_kind::bit_string:
        if (t.backslash && !settings.standard_conforming_strings) return std::nullopt;
        continue;
      case token_kind::dollar_string:
      case token_kind::odd:
      case token_kind::unicode_identifier:
      case token_kind::unicode_string:
        return std::nullopt;
      default:
        continue;
    }
    found.push_back(name.substr(0, longest_name));
  }
  return found;
}

bool mentions_prefix(std::string_view text, std::string_view prefix) {
  return contains_folded(text, prefix);
}

bool is_replication_command(std::string_view text) {
  static constexpr std::string_view commands[] = {
      "identify_system",        "read_replication_slot",   "base_backup",
      "start_replication",      "create_replication_slot", "drop_replication_slot",
      "alter_replication_slot", "timeline_history",        "upload_manifest"};
  const token first = lexer(text).next();
  if (first.kind != token_kind::word) return false;
  const std::string_view spelling = text.substr(first.begin, first.size());
  return std::any_of(std::begin(commands), std::end(commands),
                     [spelling](std::string_view command) { return equals_folded(spelling, command); });
}

}  // namespace tidegate::sql
