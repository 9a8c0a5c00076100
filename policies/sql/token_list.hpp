#pragma once
// The words of one statement, for what the parse tree does not tell: where a clause ends, where a keyword
// stands, how a type was spelled. Positions are those of the whole query string. Internal to policies/sql.

#include "policies/sql/lexer.hpp"
#include "policies/sql/statement.hpp"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

// Equal without regard to the case of ASCII letters; `lower` is lower case. Most that are compared are of
// another length.
inline bool equals_folded(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c) != lower[i]) return false;
  }
  return true;
}

// ASCII letters in lower case.
std::string folded(std::string_view text);

class token_list {
 public:
  token_list(std::string_view text, text_range range, bool backslashes_escape);

  std::size_t size() const { return tokens_.size(); }
  bool empty() const { return tokens_.empty(); }
  const token& operator[](std::size_t index) const { return tokens_[index]; }
  std::string_view spelling(std::size_t index) const;

  // False beyond the end.
  bool is_word(std::size_t index, std::string_view lower) const;
  bool is_any_word(std::size_t index, std::initializer_list<std::string_view> lower) const;
  bool is_char(std::size_t index, char c) const;
  bool is_name(std::size_t index) const;  // a word or a quoted identifier

  // The first token that begins at or behind `at`; size() when there is none.
  std::size_t index_at(position at) const;
  // The first token in [from, end) outside inner brackets that is this word; `end` when there is none.
  std::size_t find_word(std::string_view lower, std::size_t from, std::size_t end) const;
  // Of the opening bracket at `index`: the closing one; size() when there is none.
  std::size_t closing(std::size_t index) const;
  // The end of a list's element that begins at `index`: its comma, the bracket that closes the list, or
  // size().
  std::size_t element_end(std::size_t index) const;
  // Behind a possibly qualified name that begins at `index`; `index` when there is none.
  std::size_t behind_name(std::size_t index) const;
  // Behind a type's spelling that begins at `index`: timestamp (3) with time zone [].
  std::size_t behind_type(std::size_t index) const;

  // From the first to the last byte of the tokens [from, end); empty at `from` when there are none.
  text_range range(std::size_t from, std::size_t end) const;
  std::string text(text_range range) const;

 private:
  std::string_view text_;
  std::vector<token> tokens_;
};

}  // namespace tidegate::sql
