#include "policies/sql/token_list.hpp"

#include <algorithm>

namespace tidegate::sql {

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

token_list::token_list(std::string_view text, text_range range, bool backslashes_escape)
    : text_(text.substr(0, static_cast<std::size_t>(range.end))) {
  lexer words(text_, backslashes_escape);
  words.seek(static_cast<std::uint32_t>(range.begin));
  for (token t = words.next(); t.kind != token_kind::end; t = words.next()) tokens_.push_back(t);
}

std::string_view token_list::spelling(std::size_t index) const {
  const token& t = tokens_[index];
  return text_.substr(t.begin, t.size());
}

bool token_list::is_word(std::size_t index, std::string_view lower) const {
  return index < size() && tokens_[index].kind == token_kind::word && equals_folded(spelling(index), lower);
}

bool token_list::is_any_word(std::size_t index, std::initializer_list<std::string_view> lower) const {
  return std::any_of(lower.begin(), lower.end(), [&](std::string_view word) { return is_word(index, word); });
}

bool token_list::is_char(std::size_t index, char c) const {
  return index < size() && tokens_[index].kind == token_kind::punctuation && text_[tokens_[index].begin] == c;
}

bool token_list::is_name(std::size_t index) const {
  if (index >= size()) return false;
  const token_kind kind = tokens_[index].kind;
  return kind == token_kind::word || kind == token_kind::quoted_identifier ||
         kind == token_kind::unicode_identifier;
}

std::size_t token_list::index_at(position at) const {
  const auto found =
      std::lower_bound(tokens_.begin(), tokens_.end(), static_cast<std::uint32_t>(std::max(at, 0)),
                       [](const token& t, std::uint32_t begin) { return t.begin < begin; });
  return static_cast<std::size_t>(found - tokens_.begin());
}

std::size_t token_list::find_word(std::string_view lower, std::size_t from, std::size_t end) const {
  int depth = 0;
  for (std::size_t i = from; i < end && i < size(); ++i) {
    if (is_char(i, '(') || is_char(i, '[')) ++depth;
    if (is_char(i, ')') || is_char(i, ']')) --depth;
    if (depth == 0 && is_word(i, lower)) return i;
  }
  return end;
}

std::size_t token_list::closing(std::size_t index) const {
  int depth = 0;
  for (std::size_t i = index; i < size(); ++i) {
    if (is_char(i, '(') || is_char(i, '[')) ++depth;
    if ((is_char(i, ')') || is_char(i, ']')) && --depth == 0) return i;
  }
  return size();
}

std::size_t token_list::element_end(std::size_t index) const {
  int depth = 0;
  for (std::size_t i = index; i < size(); ++i) {
    if (is_char(i, '(') || is_char(i, '[')) ++depth;
    if ((is_char(i, ')') || is_char(i, ']')) && depth-- == 0) return i;
    if (depth == 0 && (is_char(i, ',') || is_char(i, ';'))) return i;
  }
  return size();
}

std::size_t token_list::behind_name(std::size_t index) const {
  if (!is_name(index)) return index;
  std::size_t end = index + 1;
  while (is_char(end, '.') && is_name(end + 1)) end += 2;
  return end;
}

std::size_t token_list::behind_type(std::size_t index) const {
  std::size_t i = index;
  if (is_word(i, "setof")) ++i;
  const bool national = is_word(i, "national");
  if (national) ++i;
  const bool timed = is_any_word(i, {"time", "timestamp"});
  const bool interval = is_word(i, "interval");
  const bool may_vary = national || is_any_word(i, {"character", "char", "bit", "nchar"});
  const bool two_words = is_word(i, "double");
  i = behind_name(i);
  if (two_words && is_word(i, "precision")) ++i;
  if (may_vary && is_word(i, "varying")) ++i;
  const auto modifiers = [&] {
    if (is_char(i, '(')) i = std::min(closing(i) + 1, size());
  };
  modifiers();
  if (timed && is_any_word(i, {"with", "without"}) && is_word(i + 1, "time") && is_word(i + 2, "zone"))
    i += 3;
  if (interval) {
    while (is_any_word(i, {"year", "month", "day", "hour", "minute", "second", "to"})) ++i;
    modifiers();
  }
  if (i + 1 < size() && spelling(i) == "%" && is_word(i + 1, "type")) i += 2;
  if (is_word(i, "array")) ++i;
  while (is_char(i, '[')) i = std::min(closing(i) + 1, size());
  return i;
}

text_range token_list::range(std::size_t from, std::size_t end) const {
  end = std::min(end, size());
  if (from >= end) {
    const std::uint32_t at = from < size() ? tokens_[from].begin : (empty() ? 0 : tokens_.back().end);
    return {static_cast<position>(at), static_cast<position>(at)};
  }
  return {static_cast<position>(tokens_[from].begin), static_cast<position>(tokens_[end - 1].end)};
}

std::string token_list::text(text_range range) const {
  if (range.begin < 0 || range.end <= range.begin) return {};
  return std::string(
      text_.substr(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.end - range.begin)));
}

}  // namespace tidegate::sql
