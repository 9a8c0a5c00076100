#include "policies/sql/lexer.hpp"

namespace tidegate::sql {

token lexer::number(std::size_t begin) {
  std::size_t end = begin;
  while (is(end, lexical::digit)) ++end;
  // "1..2" is a range: the dots are not the number's.
  if (has(end, '.') && !has(end + 1, '.')) {
    ++end;
    while (is(end, lexical::digit)) ++end;
  }
  if (has(end, 'e') || has(end, 'E')) {
    std::size_t exponent = end + 1;
    if (has(exponent, '+') || has(exponent, '-')) ++exponent;
    if (is(exponent, lexical::digit)) {
      end = exponent;
      while (is(end, lexical::digit)) ++end;
    }
  }
  return make(token_kind::number, begin, end);
}

token lexer::operator_run(std::size_t begin) {
  std::size_t end = begin + 1;
  while (is(end, lexical::operator_part)) {
    const char c = text_[end];
    if ((c == '-' && has(end + 1, '-')) || (c == '/' && has(end + 1, '*'))) break;
    ++end;
  }
  return make(token_kind::operator_, begin, end);
}

token lexer::dollar(std::size_t begin) {
  if (is(begin + 1, lexical::digit)) {
    std::size_t end = begin + 2;
    while (is(end, lexical::digit)) ++end;
    return make(token_kind::parameter, begin, end);
  }
  std::size_t tag_end = begin + 1;
  if (is(tag_end, lexical::word_start)) {
    while (is(tag_end, lexical::word_part) && text_[tag_end] != '$') ++tag_end;
  }
  if (!has(tag_end, '$')) return make(token_kind::odd, begin, begin + 1);
  const std::string_view delimiter = text_.substr(begin, tag_end + 1 - begin);
  const std::size_t close = text_.find(delimiter, tag_end + 1);
  if (close == npos) return odd_to_the_end(begin);
  return make(token_kind::dollar_string, begin, close + delimiter.size());
}

token lexer::plain_string(std::size_t begin, std::size_t quote, token_kind kind) {
  bool backslash = false;
  std::size_t end = quote + 1;
  for (;;) {
    const std::size_t close = text_.find('\'', end);
    if (close == npos) return odd_to_the_end(begin);
    backslash = backslash || text_.substr(end, close - end).find('\\') != npos;
    if (has(close + 1, '\'')) {
      end = close + 2;
      continue;
    }
    const std::size_t more = continuation(close + 1);
    if (more == npos) return make(kind, begin, close + 1, backslash);
    end = more + 1;
  }
}

token lexer::escape_string(std::size_t begin, std::size_t quote, token_kind kind) {
  bool backslash = false;
  std::size_t end = quote + 1;
  for (;;) {
    while (end < text_.size() && text_[end] != '\'' && text_[end] != '\\') ++end;
    if (end >= text_.size()) return odd_to_the_end(begin);
    if (text_[end] == '\\') {
      backslash = true;
      end += 2;
      continue;
    }
    if (has(end + 1, '\'')) {
      end += 2;
      continue;
    }
    const std::size_t more = continuation(end + 1);
    if (more == npos) return make(kind, begin, end + 1, backslash);
    end = more + 1;
  }
}

std::size_t lexer::continuation(std::size_t offset) const {
  bool newline = false;
  for (;;) {
    if (offset >= text_.size()) return npos;
    const char c = text_[offset];
    if (c == '\n' || c == '\r') {
      newline = true;
      ++offset;
    } else if (is(offset, lexical::space)) {
      ++offset;
    } else if (c == '-' && has(offset + 1, '-')) {
      offset = text_.find_first_of("\n\r", offset);
      if (offset == npos) return npos;
    } else {
      return newline && c == '\'' ? offset : npos;
    }
  }
}

std::size_t lexer::behind_block_comment(std::size_t offset) const {
  int depth = 0;
  while (offset + 1 < text_.size()) {
    const char c = text_[offset];
    if (c == '/' && text_[offset + 1] == '*') {
      ++depth;
      offset += 2;
    } else if (c == '*' && text_[offset + 1] == '/') {
      offset += 2;
      if (--depth == 0) return offset;
    } else {
      ++offset;
    }
  }
  return npos;
}

}  // namespace tidegate::sql
