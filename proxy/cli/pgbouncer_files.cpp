#include "proxy/cli/pgbouncer_files.hpp"

#include <algorithm>

namespace tidegate::cli {
namespace {

constexpr int deepest_include = 16;
constexpr std::string_view blanks = " \t\r\f\v";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// Calls `each(line, number)`.
template <typename Each>
void for_lines(std::string_view text, Each each) {
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    each(trimmed(text.substr(0, end)), number);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::string place_of(const std::string& file, int line) {
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
}

// Takes what stands between two quotes off the front; a quote inside is written twice. None: there is no end.
std::optional<std::string> take_quoted(std::string_view& text, char quote) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] != quote) {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == quote) {
      out += quote;
      ++i;
    } else {
      text.remove_prefix(i + 1);
      return out;
    }
  }
  return std::nullopt;
}

class ini_reader {
 public:
  ini_reader(const file_source& source, pgbouncer_ini& out) : source_(source), out_(out) {}

  void read(const std::string& file, int depth, const std::string& from) {
    const auto text = source_(file);
    if (!text) return out_.problems.push_back({from, "cannot read " + file}), void();
    for_lines(*text, [&](std::string_view line, int number) {
      if (line.empty() || line[0] == ';' || line[0] == '#') return;
      const std::string place = place_of(file, number);
      if (line[0] == '%') return include(line, depth, place);
      if (line[0] == '[') return begin_section(line, place);
      entry(line, place);
    });
  }

 private:
  void include(std::string_view line, int depth, const std::string& place) {
    constexpr std::string_view word = "%include";
    const std::string_view file = trimmed(line.substr(std::min(word.size(), line.size())));
    if (!line.starts_with(word) || file.empty()) return wrong(place, "only %include is known here");
    if (depth >= deepest_include) return wrong(place, "too many files that include each other");
    read(std::string(file), depth + 1, place);
  }

  void begin_section(std::string_view line, const std::string& place) {
    const std::string_view name = line.substr(1, line.find(']') - 1);
    section_ = name == "pgbouncer"   ? &out_.settings
               : name == "databases" ? &out_.databases
               : name == "users"     ? &out_.users
               : name == "peers"     ? &out_.peers
                                     : nullptr;
    if (section_ == nullptr) wrong(place, "section [" + std::string(name) + "] is not known");
  }

  void entry(std::string_view line, const std::string& place) {
    if (section_ == nullptr) return wrong(place, "stands in no section");
    std::string key;
    if (line[0] == '"') {
      const auto quoted = take_quoted(line, '"');
      if (!quoted) return wrong(place, "a quote has no end");
      key = *quoted;
      line = trimmed(line);
    } else {
      const std::size_t end = std::min(line.find('='), line.size());
      key = trimmed(line.substr(0, end));
      line.remove_prefix(end);
    }
    if (key.empty() || !line.starts_with('=')) return wrong(place, "is not \"key = value\"");
    section_->push_back({std::move(key), std::string(trimmed(line.substr(1))), place});
  }

  void wrong(const std::string& place, std::string what) {
    out_.problems.emplace_back(place, std::move(what));
  }

  const file_source& source_;
  pgbouncer_ini& out_;
  std::vector<ini_entry>* section_ = nullptr;  // goes on through included files, as there
};

// Words of an HBA line: quotes keep blanks and commas together.
std::vector<std::string> hba_words(std::string_view line) {
  std::vector<std::string> out;
  while (!(line = trimmed(line)).empty() && line[0] != '#') {
    std::string word;
    while (!line.empty() && blanks.find(line[0]) == std::string_view::npos) {
      if (line[0] == '"') {
        const auto quoted = take_quoted(line, '"');
        if (!quoted) return {};
        word += *quoted;
      } else {
        word += line[0];
        line.remove_prefix(1);
      }
    }
    // A list may have blanks behind its commas.
    if (!out.empty() && out.back().ends_with(','))
      out.back() += word;
    else
      out.push_back(std::move(word));
  }
  return out;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (const auto item = trimmed(list.substr(0, end)); !item.empty()) out.emplace_back(item);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

bool is_plain_address(std::string_view text) {
  return !text.empty() && text.find('/') == std::string_view::npos &&
         text.find_first_not_of("0123456789abcdefABCDEF.:") == std::string_view::npos &&
         text.find_first_of(".:") != std::string_view::npos;
}

}  // namespace

const ini_entry* pgbouncer_ini::find(std::string_view key) const {
  const auto found =
      std::find_if(settings.rbegin(), settings.rend(), [&](const ini_entry& e) { return e.key == key; });
  return found == settings.rend() ? nullptr : &*found;
}

pgbouncer_ini read_pgbouncer_ini(const std::string& file, const file_source& source) {
  pgbouncer_ini out;
  ini_reader(source, out).read(file, 0, file);
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_connection_string(
    std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!(text = trimmed(text)).empty()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string key(trimmed(text.substr(0, equals)));
    if (key.empty() || key.find_first_of(blanks) != std::string::npos) return std::nullopt;
    text = trimmed(text.substr(equals + 1));
    std::string value;
    if (text.starts_with('\'')) {
      const auto quoted = take_quoted(text, '\'');
      if (!quoted) return std::nullopt;
      value = *quoted;
    } else {
      const std::size_t end = std::min(text.find_first_of(blanks), text.size());
      value = text.substr(0, end);
      text.remove_prefix(end);
    }
    out.emplace_back(key, std::move(value));
  }
  return out;
}

hba_file read_hba_file(const std::string& name, std::string_view text) {
  hba_file out;
  for_lines(text, [&](std::string_view line, int number) {
    if (line.empty() || line[0] == '#') return;
    const std::string place = place_of(name, number);
    const std::vector<std::string> words = hba_words(line);
    hba_line made;
    made.place = place;
    std::size_t at = 3;
    if (words.size() > 3) {
      made.type = words[0];
      made.databases = split(words[1]);
      made.users = split(words[2]);
      if (made.type != "local") {
        made.address = words[at++];
        if (at < words.size() && is_plain_address(made.address) && is_plain_address(words[at]))
          made.mask = words[at++];
      }
    }
    if (at >= words.size()) return out.problems.push_back({place, "is no line of an HBA file"}), void();
    made.method = words[at++];
    for (; at < words.size(); ++at) {
      const std::size_t equals = std::min(words[at].find('='), words[at].size());
      made.options[words[at].substr(0, equals)] = words[at].substr(std::min(equals + 1, words[at].size()));
    }
    out.lines.push_back(std::move(made));
  });
  return out;
}

std::vector<ident_line> read_ident_file(std::string_view text) {
  std::vector<ident_line> out;
  for_lines(text, [&](std::string_view line, int) {
    const std::vector<std::string> words = hba_words(line);
    if (words.size() == 3) out.push_back({words[0], words[1], words[2]});
  });
  return out;
}

std::map<std::string, std::string> read_userlist(std::string_view text) {
  std::map<std::string, std::string> out;
  for_lines(text, [&](std::string_view line, int) {
    if (!line.starts_with('"')) return;
    const auto user = take_quoted(line, '"');
    line = trimmed(line);
    if (!user || user->empty() || !line.starts_with('"')) return;
    if (const auto secret = take_quoted(line, '"')) out.emplace(*user, *secret);
  });
  return out;
}

std::string to_user_file(const std::map<std::string, std::string>& users) {
  std::string out;
  const auto quoted = [&out](const std::string& text) {
    out += '"';
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    out += '"';
  };
  for (const auto& [user, secret] : users) {
    quoted(user);
    out += ' ';
    quoted(secret);
    out += '\n';
  }
  return out;
}

}  // namespace tidegate::cli
