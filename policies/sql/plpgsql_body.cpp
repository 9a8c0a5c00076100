#include "policies/sql/plpgsql_body.hpp"

#include "policies/sql/nested.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace tidegate::sql {
namespace {

class body_reader {
 public:
  body_reader(std::string_view body, const parse_options& options, int nesting, do_block& out)
      : options_(options),
        nesting_(nesting),
        out_(out),
        tokens_(body, {0, static_cast<position>(body.size())}, !options.standard_conforming_strings) {}

  void read() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].kind == token_kind::odd) {
        out_.opaque = true;
        return;
      }
    }
    std::size_t i = 0;
    while (i < tokens_.size()) i = std::max(statement_at(i), i + 1);
  }

 private:
  // Reads what begins at `i`; where the next statement begins.
  std::size_t statement_at(std::size_t i) {
    if (tokens_.is_char(i, ';')) return i + 1;
    if (spelled(i, "<<")) return behind_label(i);
    if (tokens_.is_word(i, "declare")) return behind_declarations(i + 1);
    if (tokens_.is_any_word(i, {"begin", "exception", "else"})) return i + 1;
    if (tokens_.is_any_word(i, {"if", "elsif", "elseif", "when"})) return behind_condition(i + 1, "then");
    if (tokens_.is_word(i, "case")) return condition_end(i + 1, "when");
    if (tokens_.is_word(i, "while")) return loop(behind_condition(i + 1, "loop"));
    if (tokens_.is_any_word(i, {"for", "foreach"})) return for_loop(i + 1);
    if (tokens_.is_word(i, "loop")) return loop(i + 1);
    if (tokens_.is_word(i, "end")) {
      if (tokens_.is_word(i + 1, "loop") && loops_ > 0) --loops_;
      return statement_end(i) + 1;
    }
    const std::size_t end = statement_end(i);
    simple_statement(i, end);
    return end + 1;
  }

  void simple_statement(std::size_t i, std::size_t end) {
    if (tokens_.is_any_word(i, {"commit", "rollback"})) {
      out_.commits = true;
    } else if (tokens_.is_word(i, "execute")) {
      dynamic(i + 1, end);
    } else if (tokens_.is_word(i, "perform")) {
      parse_text("SELECT " + text(i + 1, end));
    } else if (tokens_.is_word(i, "return") && tokens_.is_word(i + 1, "query")) {
      query_or_dynamic(i + 2, end);
    } else if (tokens_.is_word(i, "open")) {
      const std::size_t keyword = tokens_.find_word("for", i, end);
      if (keyword < end) query_or_dynamic(keyword + 1, end);
    } else if (!tokens_.is_any_word(i, {"return", "exit", "continue", "raise", "assert", "null", "get",
                                        "fetch", "move", "close"}) &&
               !is_assignment(i, end)) {
      parse_text(text_without_into(i, end));
    }
  }

  bool is_assignment(std::size_t i, std::size_t end) const {
    if (!tokens_.is_name(i) && tokens_[i].kind != token_kind::parameter) return false;
    ++i;
    while (i < end) {
      if (tokens_.is_char(i, '.')) {
        i += 2;
      } else if (tokens_.is_char(i, '[')) {
        i = tokens_.closing(i) + 1;
      } else {
        break;
      }
    }
    return i < end && (spelled(i, "=") || (tokens_.is_char(i, ':') && spelled(i + 1, "=")));
  }

  // EXECUTE 'constant' [INTO …] [USING …]; anything else can't be seen.
  void dynamic(std::size_t i, std::size_t end) {
    const bool constant = i < end && is_string(tokens_[i].kind) &&
                          (i + 1 == end || tokens_.is_any_word(i + 1, {"into", "using", "loop"}));
    if (!constant) {
      out_.has_dynamic_sql = true;
      return;
    }
    // The parser itself resolves quotes and escapes.
    const parsed inner = parse_nested("SELECT f(" + text(i, i + 1) + ")", options_, nesting_);
    const query* select = inner.ok() ? inner.statements.front().as<query>() : nullptr;
    const std::optional<std::string> sql =
        select ? select->functions.front().constant_arguments.front() : std::nullopt;
    if (sql) {
      parse_text(*sql);
    } else {
      out_.has_dynamic_sql = true;
    }
  }

  static bool is_string(token_kind kind) {
    return kind == token_kind::string || kind == token_kind::escape_string ||
           kind == token_kind::dollar_string;
  }

  void query_or_dynamic(std::size_t i, std::size_t end) {
    if (tokens_.is_word(i, "execute")) {
      dynamic(i + 1, end);
    } else {
      parse_text(text(i, end));
    }
  }

  std::size_t for_loop(std::size_t i) {
    const std::size_t end = condition_end(i, "loop");
    const std::size_t in = tokens_.find_word("in", i, end);
    if (tokens_.is_word(in + 1, "execute")) {
      dynamic(in + 2, end);
    } else if (tokens_.is_any_word(in + 1,
                                   {"select", "with", "values", "table", "insert", "update", "delete"}) ||
               tokens_.is_char(in + 1, '(')) {
      if (!is_integer_range(in + 1, end)) parse_text(text(in + 1, end));
    }
    return loop(end + 1);
  }

  bool is_integer_range(std::size_t from, std::size_t end) const {
    for (std::size_t i = from; i + 1 < end; ++i) {
      if (tokens_.is_char(i, '.') && tokens_.is_char(i + 1, '.')) return true;
    }
    return false;
  }

  std::size_t loop(std::size_t next) {
    ++loops_;
    return next;
  }

  std::size_t behind_label(std::size_t i) const {
    while (i < tokens_.size() && !spelled(i, ">>")) ++i;
    return i + 1;
  }

  std::size_t behind_declarations(std::size_t i) const {
    while (i < tokens_.size() && !tokens_.is_word(i, "begin")) ++i;
    return i + 1;
  }

  // The word that ends a condition, CASE expressions in it left out.
  std::size_t condition_end(std::size_t i, std::string_view word) const {
    int cases = 0;
    for (; i < tokens_.size(); ++i) {
      if (cases == 0 && tokens_.is_word(i, word)) break;
      if (tokens_.is_word(i, "case")) ++cases;
      if (cases > 0 && tokens_.is_word(i, "end")) --cases;
    }
    return i;
  }
  std::size_t behind_condition(std::size_t i, std::string_view word) const {
    return condition_end(i, word) + 1;
  }

  std::size_t statement_end(std::size_t i) const {
    int depth = 0;
    for (; i < tokens_.size(); ++i) {
      if (tokens_.is_char(i, '(')) ++depth;
      if (tokens_.is_char(i, ')')) --depth;
      if (depth <= 0 && tokens_.is_char(i, ';')) break;
    }
    return i;
  }

  // SELECT … INTO [STRICT] a, b …: the targets are variables of plpgsql, not a new table.
  std::string text_without_into(std::size_t i, std::size_t end) const {
    std::string plain = text(i, end);
    const auto base = static_cast<std::size_t>(tokens_[i].begin);
    for (std::size_t at = i + 1; at < end; ++at) {
      if (!tokens_.is_word(at, "into") || tokens_.is_any_word(at - 1, {"insert", "merge"}) ||
          tokens_.is_word(i, "import"))
        continue;
      std::size_t behind = at + 1;
      if (tokens_.is_word(behind, "strict")) ++behind;
      do {
        if (tokens_.is_char(behind, ',')) ++behind;
        behind = tokens_.behind_name(behind);
        while (tokens_.is_char(behind, '[')) behind = tokens_.closing(behind) + 1;
      } while (behind < end && tokens_.is_char(behind, ','));
      const text_range blank = tokens_.range(at, std::min(behind, end));
      for (auto b = static_cast<std::size_t>(blank.begin); b < static_cast<std::size_t>(blank.end); ++b)
        plain[b - base] = ' ';
      break;
    }
    return plain;
  }

  void parse_text(const std::string& sql) {
    parsed inner = parse_nested(sql, options_, nesting_);
    if (!inner.ok()) {
      out_.opaque = true;
      return;
    }
    for (statement& found : inner.statements) {
      if (const query* data = found.as<query>(); data != nullptr && loops_ > 0 && !data->targets.empty())
        out_.has_loop_with_dml = true;
      out_.statements.push_back(std::move(found));
    }
  }

  std::string text(std::size_t from, std::size_t end) const { return tokens_.text(tokens_.range(from, end)); }
  bool spelled(std::size_t i, std::string_view text) const {
    return i < tokens_.size() && tokens_.spelling(i) == text;
  }

  const parse_options& options_;
  int nesting_;
  do_block& out_;
  token_list tokens_;
  int loops_ = 0;
};

}  // namespace

do_block read_plpgsql_body(std::string_view body, const parse_options& options, int nesting) {
  do_block block;
  body_reader(body, options, nesting, block).read();
  return block;
}

}  // namespace tidegate::sql
