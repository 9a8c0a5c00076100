#include "proxy/admin/command.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tidegate::admin {
namespace {

enum class token_kind : std::uint8_t { word, name, text, symbol, end };

struct token {
  token_kind kind = token_kind::end;
  std::string text;  // without quotes
  std::size_t at = 0;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

// What may stand in an unquoted name: database names with hyphens and dots are common.
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

class lexer {
 public:
  explicit lexer(std::string_view text) : text_(text) {}

  // False: a quote or a comment has no end.
  bool next(token& out) {
    if (!skip_blanks()) return false;
    out = {token_kind::end, {}, at_};
    if (at_ >= text_.size()) return true;
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      out.kind = c == '"' ? token_kind::name : token_kind::text;
      return quoted(c, out.text);
    }
    if (is_word(c)) {
      out.kind = token_kind::word;
      while (at_ < text_.size() && is_word(text_[at_]) && !text_.substr(at_).starts_with("--"))
        out.text += text_[at_++];
      return true;
    }
    out.kind = token_kind::symbol;
    out.text = text_[at_++];
    return true;
  }

 private:
  bool skip_blanks() {
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (is_blank(rest[0])) {
        ++at_;
      } else if (rest.starts_with("--")) {
        at_ += std::min(rest.find('\n'), rest.size());
      } else if (rest.starts_with("/*")) {
        if (!skip_comment()) return false;
      } else {
        break;
      }
    }
    return true;
  }

  // Comments nest, as in SQL.
  bool skip_comment() {
    int depth = 0;
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("/*")) {
        ++depth;
        at_ += 2;
      } else if (rest.starts_with("*/")) {
        at_ += 2;
        if (--depth == 0) return true;
      } else {
        ++at_;
      }
    }
    return false;
  }

  bool quoted(char quote, std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != quote) {
        out += text_[at_];
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
        out += quote;
        ++at_;
      } else {
        ++at_;
        return true;
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// What may follow a verb.
enum class shape : std::uint8_t { nothing, maybe_database, database, others };

struct verb_row {
  std::string_view word;
  verb what;
  shape follows;
};

constexpr auto verbs = std::to_array<verb_row>({
    {"show", verb::show, shape::others},
    {"pause", verb::pause, shape::maybe_database},
    {"resume", verb::resume, shape::maybe_database},
    {"disable", verb::disable, shape::database},
    {"enable", verb::enable, shape::database},
    {"kill", verb::kill, shape::maybe_database},
    {"kill_client", verb::kill_client, shape::others},
    {"reconnect", verb::reconnect, shape::maybe_database},
    {"reload", verb::reload, shape::nothing},
    {"shutdown", verb::shutdown, shape::others},
    {"set", verb::set, shape::others},
    {"select", verb::select, shape::others},
    {"begin", verb::begin, shape::others},
    {"start", verb::begin, shape::others},
    {"commit", verb::commit, shape::others},
    {"end", verb::commit, shape::others},
    {"rollback", verb::rollback, shape::others},
    {"abort", verb::rollback, shape::others},
    {"discard", verb::discard, shape::others},
    {"deallocate", verb::discard, shape::others},
});

// One statement at a time: the tokens up to a semicolon.
class statement_reader {
 public:
  explicit statement_reader(const std::vector<token>& tokens) : tokens_(tokens) {}

  // Exactly one of the two is set.
  std::optional<syntax_problem> read(command& out) {
    const token& first = take();
    const std::string word = first.kind == token_kind::word ? lower(first.text) : std::string();
    const auto row = std::ranges::find(verbs, word, &verb_row::word);
    if (row == verbs.end()) return unknown(first);
    out.what = row->what;
    switch (row->follows) {
      case shape::nothing:
        break;
      case shape::maybe_database:
      case shape::database:
        if (auto problem = read_database(out, row->follows == shape::database)) return problem;
        break;
      case shape::others:
        if (auto problem = read_rest(out)) return problem;
        break;
    }
    if (peek().kind != token_kind::end) return unexpected();
    return std::nullopt;
  }

 private:
  const token& peek() const { return tokens_[at_]; }
  const token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool take_word(std::string_view word) {
    if (peek().kind != token_kind::word || lower(peek().text) != word) return false;
    take();
    return true;
  }
  bool take_symbol(char c) {
    if (peek().kind != token_kind::symbol || peek().text[0] != c) return false;
    take();
    return true;
  }

  static syntax_problem unknown(const token& at) {
    return {"\"" + at.text + "\" is no command of the admin console",
            "Commands: " + std::string(command_list()) + ".", at.at};
  }
  syntax_problem unexpected() const {
    if (peek().kind == token_kind::end) return wanted("the command ends too early");
    return {"syntax error at or near \"" + peek().text + "\"",
            "Commands: " + std::string(command_list()) + ".", peek().at};
  }
  syntax_problem wanted(std::string message) const {
    return {std::move(message), "Commands: " + std::string(command_list()) + ".", peek().at};
  }

  std::optional<syntax_problem> read_database(command& out, bool needed) {
    const token& next = peek();
    if (next.kind == token_kind::word || next.kind == token_kind::name) {
      out.name = take().text;
      if (out.name.empty()) return wanted("an empty name is no database");
    } else if (needed) {
      return wanted("a database is needed");
    }
    return std::nullopt;
  }

  std::optional<syntax_problem> read_rest(command& out) {
    switch (out.what) {
      case verb::show:
        if (peek().kind != token_kind::word) return unexpected();
        out.name = lower(take().text);
        if (out.name == "ledger" && (peek().kind == token_kind::word || peek().kind == token_kind::name))
          out.value = take().text;
        return std::nullopt;
      case verb::kill_client:
        if (peek().kind != token_kind::word && peek().kind != token_kind::text)
          return wanted("an id of SHOW CLIENTS is needed");
        out.value = take().text;
        return std::nullopt;
      case verb::shutdown:
        if (peek().kind == token_kind::end) return std::nullopt;
        out.value = lower(peek().text);
        if (peek().kind != token_kind::word ||
            (out.value != "wait_for_clients" && out.value != "wait_for_servers"))
          return unexpected();
        take();
        return std::nullopt;
      case verb::set:
        return read_set(out);
      case verb::select:
        return read_select(out);
      default:
        // BEGIN ISOLATION LEVEL …, COMMIT WORK, DISCARD ALL: the words change nothing here.
        while (peek().kind != token_kind::end) take();
        return std::nullopt;
    }
  }

  std::optional<syntax_problem> read_set(command& out) {
    if (!take_word("session")) take_word("local");
    if (peek().kind != token_kind::word) return unexpected();
    out.name = lower(take().text);
    if (!take_symbol('=') && !take_word("to")) return unexpected();
    if (peek().kind == token_kind::symbol || peek().kind == token_kind::end) return unexpected();
    out.value = take().text;
    return std::nullopt;
  }

  std::optional<syntax_problem> read_select(command& out) {
    const token& expression = take();
    out.name = "?column?";
    const std::string word = lower(expression.text);
    const auto is_call = [&] { return take_symbol('(') && take_symbol(')'); };
    if (expression.kind == token_kind::text) {
      out.expression = selected::text;
      out.value = expression.text;
    } else if (expression.kind == token_kind::word && !word.empty() &&
               word.find_first_not_of("0123456789") == std::string::npos && word.size() < 10) {
      out.expression = selected::number;
      out.value = word;
    } else if ((word == "version" || word == "pg_catalog.version") && is_call()) {
      out.expression = selected::version;
      out.name = "version";
    } else if (word == "current_user" || word == "session_user" || word == "user") {
      out.expression = selected::user;
      out.name = word;
    } else if (word == "current_database" && is_call()) {
      out.expression = selected::database;
      out.name = word;
    } else {
      return syntax_problem{
          "the admin console selects constants, version(), current_user and current_database()",
          "Its tables are shown by SHOW; SHOW HELP lists them.", expression.at};
    }
    if (take_word("as") || peek().kind == token_kind::word || peek().kind == token_kind::name) {
      if (peek().kind != token_kind::word && peek().kind != token_kind::name) return unexpected();
      out.name = take().text;
    }
    return std::nullopt;
  }

  const std::vector<token>& tokens_;  // the last one is the end
  std::size_t at_ = 0;
};

std::string quoted_name(const std::string& name) {
  if (std::ranges::all_of(name, is_word)) return name;
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

script parse_script(std::string_view text) {
  script out;
  lexer from(text.substr(0, text.find('\0')));
  std::vector<token> statement;
  for (bool going = true; going;) {
    token next;
    if (!from.next(next)) {
      out.problem = {"a quote or a comment has no end", {}, next.at};
      break;
    }
    going = next.kind != token_kind::end;
    const bool ends = !going || (next.kind == token_kind::symbol && next.text == ";");
    if (!ends) {
      statement.push_back(std::move(next));
      continue;
    }
    if (statement.empty()) continue;
    statement.push_back({token_kind::end, {}, next.at});
    command c;
    if (auto problem = statement_reader(statement).read(c)) {
      out.problem = std::move(problem);
      break;
    }
    out.commands.push_back(std::move(c));
    statement.clear();
  }
  if (out.problem) out.commands.clear();
  return out;
}

std::string_view tag_of(const command& c) {
  switch (c.what) {
    case verb::show:
      return "SHOW";
    case verb::pause:
      return "PAUSE";
    case verb::resume:
      return "RESUME";
    case verb::disable:
      return "DISABLE";
    case verb::enable:
      return "ENABLE";
    case verb::kill:
      return "KILL";
    case verb::kill_client:
      return "KILL_CLIENT";
    case verb::reconnect:
      return "RECONNECT";
    case verb::reload:
      return "RELOAD";
    case verb::shutdown:
      return "SHUTDOWN";
    case verb::set:
      return "SET";
    case verb::select:
      return "SELECT 1";
    case verb::begin:
      return "BEGIN";
    case verb::commit:
      return "COMMIT";
    case verb::rollback:
      return "ROLLBACK";
    case verb::discard:
      break;
  }
  return "DISCARD ALL";
}

std::string to_text(const command& c) {
  std::string out(c.what == verb::select ? "SELECT" : tag_of(c));
  if (!c.name.empty()) out += " " + quoted_name(c.name);
  if (c.what == verb::set) out += " =";
  if (!c.value.empty()) out += " " + c.value;
  return out;
}

bool only_looks(const command& c) {
  switch (c.what) {
    case verb::show:
    case verb::select:
    case verb::begin:
    case verb::commit:
    case verb::rollback:
    case verb::discard:
      return true;
    default:
      return false;
  }
}

std::string_view command_list() {
  return "SHOW topic (SHOW HELP lists the topics), PAUSE [database], RESUME [database], DISABLE database, "
         "ENABLE database, KILL [database], KILL_CLIENT id, RECONNECT [database], RELOAD, "
         "SHUTDOWN [WAIT_FOR_CLIENTS | WAIT_FOR_SERVERS], SET key = value";
}

}  // namespace tidegate::admin
