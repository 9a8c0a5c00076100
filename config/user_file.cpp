#include "config/user_file.hpp"

#include <optional>
#include <utility>

namespace tidegate::config {
namespace {

void skip_blanks(std::string_view& line) {
  while (line.starts_with(' ') || line.starts_with('\t') || line.starts_with('\r')) line.remove_prefix(1);
}

// Takes a quoted word off the front.
std::optional<std::string> take_quoted(std::string_view& line) {
  if (!line.starts_with('"')) return std::nullopt;
  std::string word;
  for (std::size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      word += line[i];
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      word += '"';
      ++i;
    } else {
      line.remove_prefix(i + 1);
      return word;
    }
  }
  return std::nullopt;
}

}  // namespace

user_list parse_user_list(std::string_view text) {
  user_list list;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view whole = line;
    skip_blanks(line);
    if (line.empty() || line.starts_with(';') || line.starts_with('#')) continue;

    auto refuse = [&](const char* what, const char* instead) {
      list.problems.push_back({{number, static_cast<int>(whole.size() - line.size()) + 1}, what, instead});
    };
    auto user = take_quoted(line);
    skip_blanks(line);
    auto secret = user ? take_quoted(line) : std::nullopt;
    skip_blanks(line);
    if (!secret || !line.empty()) {
      refuse("not a line of the user file", R"(write "user" "secret")");
    } else if (user->empty()) {
      refuse("a user without a name", R"(write "user" "secret")");
    } else if (!list.users.emplace(std::move(*user), std::move(*secret)).second) {
      refuse("this user is here twice", "keep one");
    }
  }
  return list;
}

}  // namespace tidegate::config
