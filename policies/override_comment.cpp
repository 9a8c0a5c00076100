// Comments of a statement: override comments and sqlcommenter tags.

#include "policies/override_comment.hpp"

#include "policies/engine.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <utility>

namespace tidegate::policies {

namespace {

constexpr auto npos = std::string_view::npos;

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}

// Walks over the text as PostgreSQL's lexer does and yields the inside of each comment. Where the text could
// mean two things (a backslash before a quote in a plain string: standard_conforming_strings decides), it
// stops: a comment behind that may be part of a literal, and nobody may override from inside a literal.
class comment_scanner {
 public:
  explicit comment_scanner(std::string_view text) : text_(text) {}

  // The next comment's inside; npos-free view with data() == nullptr at the end.
  std::string_view next() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (text_.substr(at_, 2) == "--") return line_comment();
      if (text_.substr(at_, 2) == "/*") return block_comment();
      if (is_blank(c)) {
        ++at_;
        continue;
      }
      if (c == '\'')
        string(at_ > 0 && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') &&
               (at_ < 2 || !is_name_byte(text_[at_ - 2])));
      else if (c == '"')
        skip_behind('"');
      else if (c == '$' && (at_ == 0 || !is_name_byte(text_[at_ - 1])))
        dollar_string();
      else
        ++at_;
      code_end_ = at_;
    }
    return {};
  }

  // Behind the last byte so far that is neither blank nor comment.
  std::size_t code_end() const { return code_end_; }
  // Where it stopped because the text could mean two things; npos: it did not.
  std::size_t certain_end() const { return certain_end_; }

 private:
  std::string_view line_comment() {
    const std::size_t begin = at_ + 2;
    at_ = text_.find_first_of("\r\n", begin);
    if (at_ == npos) at_ = text_.size();
    return inside(begin, at_);
  }

  std::string_view block_comment() {
    const std::size_t begin = at_ + 2;
    int depth = 1;
    at_ = begin;
    while (at_ < text_.size()) {
      const auto pair = text_.substr(at_, 2);
      if (pair == "/*") {
        ++depth;
        at_ += 2;
      } else if (pair == "*/") {
        at_ += 2;
        if (--depth == 0) return inside(begin, at_ - 2);
      } else {
        ++at_;
      }
    }
    return {};  // not ended: no statement either
  }

  void string(bool escapes) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        if (!escapes && at_ + 1 < text_.size() && text_[at_ + 1] == '\'') {
          certain_end_ = at_;
          at_ = text_.size();
          return;
        }
        if (escapes) ++at_;
      } else if (text_[at_] == '\'') {
        ++at_;
        return;
      }
    }
    at_ = text_.size();
  }

  void skip_behind(char quote) {
    const std::size_t end = text_.find(quote, at_ + 1);
    at_ = end == npos ? text_.size() : end + 1;
  }

  void dollar_string() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_name_byte(text_[end]) && text_[end] != '$') ++end;
    const bool parameter = end > at_ + 1 && std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) != 0;
    if (parameter || end >= text_.size() || text_[end] != '$') {
      ++at_;
      return;
    }
    const auto tag = text_.substr(at_, end + 1 - at_);
    const std::size_t close = text_.find(tag, end + 1);
    at_ = close == npos ? text_.size() : close + tag.size();
  }

  // Never a null view, so that an empty comment does not end the walk.
  std::string_view inside(std::size_t begin, std::size_t end) const {
    return std::string_view(text_.data() + begin, end - begin);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t code_end_ = 0;
  std::size_t certain_end_ = npos;
};

// Where the blanks and comments at the end of `text` begin.
std::size_t end_of_code(std::string_view text) {
  comment_scanner comments(text);
  while (comments.next().data() != nullptr) {
  }
  return comments.code_end();
}

// Where the blanks and comments at the beginning of `text` end.
std::size_t begin_of_code(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const auto pair = text.substr(at, 2);
    if (pair != "--" && pair != "/*") break;
    comment_scanner comments(text.substr(at));
    const auto comment = comments.next();
    if (comment.data() == nullptr) break;
    at = static_cast<std::size_t>(comment.data() - text.data()) + comment.size();
    if (text.substr(at, 2) == "*/") at += 2;
  }
  return at;
}

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n\f\v");
  if (begin == npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n\f\v") + 1 - begin);
}

std::optional<override_comment> read_override(std::string_view comment) {
  constexpr std::string_view key = "tidegate:allow=";
  comment = trim(comment);
  if (!comment.starts_with(key)) return std::nullopt;
  comment.remove_prefix(key.size());
  auto end = comment.find_first_of(" \t\r\n");
  if (end == npos) end = comment.size();
  override_comment found;
  std::string_view list = comment.substr(0, end);
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto rule = list.substr(0, comma);
    if (!rule.empty() && rule != "*") found.rules.emplace_back(rule);
    list = comma == npos ? std::string_view{} : list.substr(comma + 1);
  }
  constexpr std::string_view reason = "reason=\"";
  if (const auto begin = comment.find(reason, end); begin != npos) {
    const auto value = comment.substr(begin + reason.size());
    found.reason = value.substr(0, value.find('"'));
  }
  return found;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string url_decode(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      plain += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\'') {
      plain += text[++i];
    } else {
      plain += text[i];
    }
  }
  return plain;
}

using tags = std::vector<std::pair<std::string, std::string>>;

// key='value',key='value' and nothing else (https://google.github.io/sqlcommenter/spec).
tags read_tags(std::string_view comment) {
  tags found;
  comment = trim(comment);
  while (!comment.empty()) {
    const auto equals = comment.find("='");
    if (equals == npos || equals == 0) return {};
    const auto key = trim(comment.substr(0, equals));
    auto end = equals + 2;
    while (end < comment.size() && comment[end] != '\'') end += comment[end] == '\\' ? 2U : 1U;
    if (end >= comment.size()) return {};
    found.emplace_back(url_decode(key), url_decode(comment.substr(equals + 2, end - equals - 2)));
    comment = trim(comment.substr(end + 1));
    if (comment.empty()) break;
    if (comment.front() != ',') return {};
    comment.remove_prefix(1);
  }
  return found;
}

}  // namespace

std::vector<std::string_view> with_comments(std::string_view text, std::span<const sql::text_range> ranges) {
  const std::size_t size = text.size();
  std::size_t certain = size;
  if (ranges.size() > 0) {
    comment_scanner all(text);
    while (all.next().data() != nullptr) {
    }
    certain = std::min(all.certain_end(), size);
  }
  std::vector<std::string_view> found;
  found.reserve(ranges.size());
  std::size_t from = 0;  // behind the statement before
  for (const sql::text_range& range : ranges) {
    const std::size_t first = std::clamp(static_cast<std::size_t>(std::max(range.begin, 0)), from, size);
    const std::size_t last = std::clamp(static_cast<std::size_t>(std::max(range.end, 0)), first, size);
    const std::size_t begin = first <= certain ? from + end_of_code(text.substr(from, first - from)) : first;
    std::size_t end = last;
    if (last <= certain) {
      end += begin_of_code(text.substr(last));
      if (end < size && text[end] == ';') {
        // what follows the last semicolon belongs to the last statement
        const std::size_t rest = end + 1 + begin_of_code(text.substr(end + 1));
        if (rest == size) end = size;
      }
    }
    found.push_back(text.substr(begin, end - begin));
    from = last;
  }
  return found;
}

std::optional<override_comment> find_override(std::string_view statement_text) {
  comment_scanner comments(statement_text);
  for (auto comment = comments.next(); comment.data() != nullptr; comment = comments.next())
    if (auto found = read_override(comment)) return found;
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> comment_tags(std::string_view statement_text) {
  tags all;
  comment_scanner comments(statement_text);
  for (auto comment = comments.next(); comment.data() != nullptr; comment = comments.next())
    for (auto& tag : read_tags(comment)) all.push_back(std::move(tag));
  return all;
}

}  // namespace tidegate::policies
