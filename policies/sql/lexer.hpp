#pragma once
// PostgreSQL's lexical rules (src/backend/parser/scan.l, versions 12 to 18), without allocation. The
// pre-filter runs on it for every query; the slow path uses it for what the parser does not tell: ranges,
// comments, normal forms. Where versions differ the reading that shows more words is taken (1into is a number
// and a word), and what can't be told is `odd`. No state outside the object: one per text, any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tidegate::sql {

enum class token_kind : std::uint8_t {
  end,                 // of the text
  word,                // keyword or unquoted identifier
  quoted_identifier,   // "…"
  unicode_identifier,  // U&"…"
  string,              // '…' (also behind N)
  escape_string,       // E'…'
  unicode_string,      // U&'…'
  bit_string,          // B'…' X'…'
  dollar_string,       // $tag$…$tag$
  number,
  parameter,    // $1
  operator_,    // a run of operator characters
  punctuation,  // , ( ) [ ] . ; :
  comment,      // only when asked for
  odd,          // a byte that begins nothing in some version, or an unterminated quote or comment
};

struct token {
  token_kind kind = token_kind::end;
  bool backslash = false;  // strings: there is a backslash inside; only reliable for `string`
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  std::size_t size() const { return end - begin; }
};

namespace lexical {
enum character_class : std::uint8_t {
  space = 1,
  word_start = 2,
  word_part = 4,
  digit = 8,
  operator_part = 16,
  punctuation = 32,
};

consteval std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view characters, unsigned bits) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= static_cast<std::uint8_t>(bits);
  };
  mark(" \t\n\r\f", space);
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", word_start | word_part);
  for (unsigned c = 0x80; c < 0x100; ++c) table[c] |= word_start | word_part;
  mark("0123456789", digit | word_part);
  mark("$", word_part);
  mark("~!@#^&|`?+-*/%<>=", operator_part);
  mark(",()[].;:", punctuation);
  return table;
}
inline constexpr std::array<std::uint8_t, 256> classes = make_classes();
}  // namespace lexical

class lexer {
 public:
  // Text longer than 4 GB is cut (no message of the protocol is that long).
  // backslashes_escape: plain strings are read as with standard_conforming_strings off.
  explicit lexer(std::string_view text, bool backslashes_escape = false, bool comments = false)
      : text_(text), backslashes_escape_(backslashes_escape), comments_(comments) {}

  // The next token; at the end of the text (and after an unterminated token) `end`.
  token next();

  void seek(std::uint32_t offset) { at_ = offset; }

 private:
  bool is(std::size_t offset, unsigned bits) const {
    return offset < text_.size() && (lexical::classes[static_cast<unsigned char>(text_[offset])] & bits) != 0;
  }
  bool has(std::size_t offset, char c) const { return offset < text_.size() && text_[offset] == c; }

  token make(token_kind kind, std::size_t begin, std::size_t end, bool backslash = false) {
    at_ = end;
    return {kind, backslash, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
  }
  token odd_to_the_end(std::size_t begin) { return make(token_kind::odd, begin, text_.size()); }

  token word(std::size_t begin);
  token number(std::size_t begin);
  token operator_run(std::size_t begin);
  token dollar(std::size_t begin);
  token quoted_identifier(std::size_t begin, std::size_t quote, token_kind kind);
  token plain_string(std::size_t begin, std::size_t quote, token_kind kind);
  token escape_string(std::size_t begin, std::size_t quote, token_kind kind);
  // Behind a closing quote: the place of a quote that goes on with the same string (scan.l, quotecontinue),
  // or npos.
  std::size_t continuation(std::size_t offset) const;
  // Behind a comment that begins at `offset`, or npos when it is not closed.
  std::size_t behind_block_comment(std::size_t offset) const;

  static constexpr std::size_t npos = std::string_view::npos;

  std::string_view text_;
  std::size_t at_ = 0;
  bool backslashes_escape_;
  bool comments_;
};

inline token lexer::next() {
  for (;;) {
    while (is(at_, lexical::space)) ++at_;
    if (at_ >= text_.size())
      return {token_kind::end, false, static_cast<std::uint32_t>(text_.size()),
              static_cast<std::uint32_t>(text_.size())};
    const std::size_t begin = at_;
    const char c = text_[begin];
    const unsigned bits = lexical::classes[static_cast<unsigned char>(c)];
    if (bits & lexical::word_start) return word(begin);
    if (bits & lexical::punctuation) {
      if (c == '.' && is(begin + 1, lexical::digit)) return number(begin);
      return make(token_kind::punctuation, begin, begin + 1);
    }
    if (bits & lexical::operator_part) {
      const bool line = c == '-' && has(begin + 1, '-');
      const bool block = c == '/' && has(begin + 1, '*');
      if (!line && !block) return operator_run(begin);
      std::size_t end;
      if (line) {
        end = text_.find_first_of("\n\r", begin);
        if (end == npos) end = text_.size();
      } else {
        end = behind_block_comment(begin);
        if (end == npos) return odd_to_the_end(begin);
      }
      if (comments_) return make(token_kind::comment, begin, end);
      at_ = end;
      continue;
    }
    if (bits & lexical::digit) return number(begin);
    if (c == '\'')
      return backslashes_escape_ ? escape_string(begin, begin, token_kind::string)
                                 : plain_string(begin, begin, token_kind::string);
    if (c == '"') return quoted_identifier(begin, begin, token_kind::quoted_identifier);
    if (c == '$') return dollar(begin);
    return make(token_kind::odd, begin, begin + 1);
  }
}

inline token lexer::word(std::size_t begin) {
  const char c = text_[begin];
  if (has(begin + 1, '\'')) {
    switch (c | 0x20) {
      case 'e':
        return escape_string(begin, begin + 1, token_kind::escape_string);
      case 'b':
      case 'x':
        return plain_string(begin, begin + 1, token_kind::bit_string);
      case 'n':
        return backslashes_escape_ ? escape_string(begin, begin + 1, token_kind::string)
                                   : plain_string(begin, begin + 1, token_kind::string);
      default:
        break;
    }
  }
  if ((c == 'u' || c == 'U') && has(begin + 1, '&')) {
    if (has(begin + 2, '"')) return quoted_identifier(begin, begin + 2, token_kind::unicode_identifier);
    if (has(begin + 2, '\'')) return plain_string(begin, begin + 2, token_kind::unicode_string);
  }
  std::size_t end = begin + 1;
  while (is(end, lexical::word_part)) ++end;
  return make(token_kind::word, begin, end);
}

inline token lexer::quoted_identifier(std::size_t begin, std::size_t quote, token_kind kind) {
  std::size_t end = quote + 1;
  for (;;) {
    end = text_.find('"', end);
    if (end == npos) return odd_to_the_end(begin);
    if (!has(end + 1, '"')) return make(kind, begin, end + 1);
    end += 2;
  }
}

}  // namespace tidegate::sql
