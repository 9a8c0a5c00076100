#include "proxy/cli/sql_script.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::cli {

namespace {

constexpr auto npos = std::string_view::npos;

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// One pass over a piece, following psql's lexer (psqlscan.l) as far as ends of statements go.
class piece_scanner {
 public:
  piece_scanner(std::string_view text, std::size_t begin, bool conforming)
      : text_(text), at_(begin), conforming_(conforming) {}

  // Runs to the end of the piece: behind its semicolon, behind a \-command that sends it, or the end of the
  // text.
  void run(std::string& piece) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !ended_) step();
    piece.assign(text_.substr(begin, end_of_sql() - begin));
    for (const auto& [from, to] : blanked_)
      for (std::size_t i = from; i < std::min(to, begin + piece.size()); ++i)
        if (piece[i - begin] != '\n') piece[i - begin] = ' ';
  }

  std::size_t at() const { return at_; }
  std::size_t first_code() const { return first_code_; }
  bool has_code() const { return first_code_ != npos; }

 private:
  struct blank {
    std::size_t from, to;
  };

  std::size_t end_of_sql() const { return std::min(sql_end_, at_); }

  void code() {
    if (first_code_ == npos) first_code_ = at_;
  }

  void step() {
    const char c = text_[at_];
    const auto two = text_.substr(at_, 2);
    if (two == "--") {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (two == "/*") {
      comment();
    } else if (is_blank(c)) {
      ++at_;
    } else if (c == '\\') {
      backslash();
    } else if (c == ';' && depth_ <= 0 && !in_atomic_body_) {
      sql_end_ = at_++;
      ended_ = true;
    } else {
      code();
      token(c);
    }
  }

  void token(char c) {
    if (c == '\'') {
      const bool escapes = at_ > 0 && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') &&
                           (at_ < 2 || !is_name_byte(text_[at_ - 2]));
      quoted('\'', escapes || !conforming_);
    } else if (c == '"') {
      quoted('"', false);
    } else if (c == '$') {
      dollar();
    } else if (is_name_byte(c)) {
      word();
    } else {
      depth_ += c == '(' ? 1 : c == ')' ? -1 : 0;
      ++at_;
    }
  }

  void comment() {
    int depth = 0;
    while (at_ < text_.size()) {
      const auto two = text_.substr(at_, 2);
      depth += two == "/*" ? 1 : two == "*/" ? -1 : 0;
      at_ += two == "/*" || two == "*/" ? 2U : 1U;
      if (depth == 0) return;
    }
  }

  void quoted(char quote, bool escapes) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (escapes && text_[at_] == '\\')
        ++at_;
      else if (text_[at_] == quote)
        break;
    }
    at_ = std::min(at_ + 1, text_.size());
  }

  void dollar() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_name_byte(text_[end])) ++end;
    const bool tag = end < text_.size() && text_[end] == '$' &&
                     (end == at_ + 1 || std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) == 0);
    if (!tag) {
      at_ = end;
      return;
    }
    const auto mark = text_.substr(at_, end + 1 - at_);
    const std::size_t close = text_.find(mark, end + 1);
    at_ = close == npos ? text_.size() : close + mark.size();
  }

  // Semicolons inside BEGIN ATOMIC … END of a function belong to it.
  void word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (is_name_byte(text_[at_]) || text_[at_] == '$')) ++at_;
    std::string name(text_.substr(begin, at_ - begin));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name == "atomic" && previous_word_ == "begin") in_atomic_body_ = true, blocks_ = 1;
    if (in_atomic_body_ && name == "case") ++blocks_;
    if (in_atomic_body_ && name == "end" && --blocks_ == 0) in_atomic_body_ = false;
    previous_word_ = std::move(name);
  }

  // \; goes on with the same message; \g and its like send it; every other command ends with its line.
  void backslash() {
    if (text_.substr(at_, 2) == "\\;") {
      blanked_.push_back({at_, at_ + 1});
      at_ += 2;
      return;
    }
    const std::size_t begin = at_;
    std::size_t end = begin + 1;
    while (end < text_.size() && !is_blank(text_[end]) && text_[end] != '\\') ++end;
    const auto command = text_.substr(begin + 1, end - begin - 1);
    const std::size_t line_end = std::min(text_.find('\n', begin), text_.size());
    const std::size_t separator = text_.find("\\\\", end);
    at_ = separator < line_end ? separator + 2 : line_end;
    blanked_.push_back({begin, at_});
    static constexpr std::string_view sending[] = {"g",     "gx",           "gset", "gexec",
                                                   "gdesc", "crosstabview", "watch"};
    if (has_code() && std::find(std::begin(sending), std::end(sending), command) != std::end(sending)) {
      sql_end_ = begin;
      ended_ = true;
    }
  }

  std::string_view text_;
  std::size_t at_;
  bool conforming_;
  bool ended_ = false;
  int depth_ = 0;
  bool in_atomic_body_ = false;
  int blocks_ = 0;
  std::size_t first_code_ = npos;
  std::size_t sql_end_ = npos;
  std::string previous_word_;
  std::vector<blank> blanked_;
};

// Something other than blanks and a comment stands before the end of the line.
bool more_on_line(std::string_view text, std::size_t at) {
  for (; at < text.size() && text[at] != '\n'; ++at) {
    if (is_blank(text[at])) continue;
    return text.substr(at, 2) != "--" && text[at] != '\\' && text[at] != ';';
  }
  return false;
}

}  // namespace

std::optional<script_piece> sql_script::next(bool standard_conforming_strings) {
  while (at_ < text_.size()) {
    script_piece piece;
    piece.offset = at_;
    piece_scanner scanner(text_, at_, standard_conforming_strings);
    scanner.run(piece.text);
    const std::size_t begin = at_;
    at_ = scanner.at();
    if (!scanner.has_code()) continue;
    const auto before = text_.substr(begin, scanner.first_code() - begin);
    piece.follows_on_line = line_continues_ && before.find('\n') == npos;
    line_continues_ = at_ < text_.size() && more_on_line(text_, at_);
    piece.shares_line = piece.follows_on_line || line_continues_;
    return piece;
  }
  return std::nullopt;
}

void sql_script::skip_copy_data() {
  at_ = std::min(text_.find('\n', at_), text_.size());
  line_continues_ = false;
  while (at_ < text_.size()) {
    const std::size_t begin = at_ + 1;
    at_ = std::min(text_.find('\n', begin), text_.size());
    auto line = text_.substr(begin, at_ - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == "\\.") return;
    if (begin >= text_.size()) return;
  }
}

line_index::line_index(std::string_view text) : text_(text), begins_{0} {
  for (auto at = text.find('\n'); at != npos; at = text.find('\n', at + 1)) begins_.push_back(at + 1);
}

int line_index::line(std::size_t offset) const {
  const auto next = std::upper_bound(begins_.begin(), begins_.end(), std::min(offset, text_.size()));
  return static_cast<int>(next - begins_.begin());
}

line_column line_index::locate(std::size_t offset) const {
  line_column where;
  where.line = line(offset);
  const std::size_t begin = begins_[static_cast<std::size_t>(where.line) - 1];
  for (const char c : text_.substr(begin, std::min(offset, text_.size()) - begin))
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++where.column;
  return where;
}

}  // namespace tidegate::cli
