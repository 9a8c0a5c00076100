#include "proxy/cli/migrations/marks.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace tidegate::cli::migrations {

namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view blanks = " \t\r\n\v\f";

std::string_view without_leading(std::string_view text, std::string_view what) {
  return text.substr(std::min(text.find_first_not_of(what), text.size()));
}

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return made;
}

// Takes the first word off.
std::string_view next_word(std::string_view& rest) {
  rest = without_leading(rest, blanks);
  const auto word = rest.substr(0, rest.find_first_of(blanks));
  rest.remove_prefix(word.size());
  return word;
}

}  // namespace

std::vector<text_line> lines(std::string_view text) {
  std::vector<text_line> all;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto newline = text.find('\n', begin);
    text_line line{begin, newline == npos ? text.size() : newline + 1, {}};
    line.text = text.substr(begin, (newline == npos ? text.size() : newline) - begin);
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    begin = line.end;
    all.push_back(line);
  }
  return all;
}

std::optional<dbmate_marked> dbmate_mark(std::string_view line) {
  if (!line.starts_with("--")) return std::nullopt;
  line.remove_prefix(2);
  const auto word = next_word(line);
  if (word != "migrate:up" && word != "migrate:down") return std::nullopt;
  dbmate_marked mark{.runs = word == "migrate:up" ? direction::up : direction::down};
  for (auto option = next_word(line); !option.empty(); option = next_word(line))
    if (option.starts_with("transaction:")) mark.in_transaction = option != "transaction:false";
  return mark;
}

bool is_goose_mark(std::string_view line) {
  return without_leading(line, blanks).starts_with("--") && line.find("+goose") != npos;
}

std::string goose_word(std::string_view line) {
  const auto at = line.find("+goose");
  if (at == npos) return {};
  auto word = without_leading(line.substr(at + 6), blanks);
  word = word.substr(0, word.find_last_not_of(blanks) + 1);
  return lower(word);
}

std::optional<direction> node_pg_migrate_mark(std::string_view line) {
  line = without_leading(line, blanks);
  if (!line.starts_with("--")) return std::nullopt;
  line = without_leading(line, "- \t");
  const auto which = lower(next_word(line));
  if ((which != "up" && which != "down") || !lower(next_word(line)).starts_with("migration"))
    return std::nullopt;
  return which == "up" ? direction::up : direction::down;
}

}  // namespace tidegate::cli::migrations
