#pragma once
// The pre-filter's pass over a text (prefilter.hpp), which whoever needs to know more of a harmless text can
// listen to. Internal to policies/sql.

#include "policies/sql/lexer.hpp"
#include "policies/sql/prefilter.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace tidegate::sql {

// Up to eight letters in one number, lower case: keywords are compared at once. A byte that is no letter
// never becomes one.
constexpr std::uint64_t packed(std::string_view word) {
  std::uint64_t value = 0;
  for (const char c : word) value = value << 8 | static_cast<unsigned char>(c | 0x20);
  return value;
}
inline constexpr std::size_t longest_packed = 8;

// Those that are looked for in the middle of a statement, made when this is compiled.
namespace words {
inline constexpr std::uint64_t into = packed("into"), insert = packed("insert"), merge = packed("merge"),
                               select = packed("select"), program = packed("program"),
                               update = packed("update"), delete_ = packed("delete"), where = packed("where"),
                               search = packed("search"), cycle = packed("cycle");
}  // namespace words

// What a statement begins with, as far as the rest of it must be looked at differently.
enum class opening : unsigned char {
  none,     // nothing yet
  bracket,  // ( of a bracketed query
  insert,   // INSERT, MERGE: INTO may follow
  change,   // UPDATE, DELETE: a WHERE must follow
  with,
  copy,
  other,
  suspicious,
};

inline opening opening_of(std::string_view word) {
  if (word.size() > longest_packed) {
    const bool known = equals_folded(word, "savepoint") || equals_folded(word, "deallocate");
    return known ? opening::other : opening::suspicious;
  }
  switch (packed(word)) {
    case packed("insert"):
    case packed("merge"):
      return opening::insert;
    case packed("with"):
      return opening::with;
    case packed("copy"):
      return opening::copy;
    case packed("update"):
    case packed("delete"):
      return opening::change;
    case packed("select"):
    case packed("values"):
    case packed("table"):
    case packed("begin"):
    case packed("start"):
    case packed("commit"):
    case packed("end"):
    case packed("rollback"):
    case packed("abort"):
    case packed("release"):
    case packed("execute"):
    case packed("declare"):
    case packed("fetch"):
    case packed("move"):
    case packed("close"):
    case packed("show"):
    case packed("call"):
    case packed("listen"):
    case packed("notify"):
    case packed("unlisten"):
      return opening::other;
    default:
      return opening::suspicious;
  }
}

inline bool opens_bracketed_query(std::string_view word) {
  if (word.size() > longest_packed) return false;
  const std::uint64_t value = packed(word);
  return value == packed("select") || value == packed("values") || value == packed("table") ||
         value == packed("with");
}

// Functions and views that set settings, looked for under any spelling.
inline bool sets_settings(std::string_view name) {
  return name == "set_config" || name == "pg_settings";
}

// Whom the classifier tells what a text consists of, as far as it is harmless.
struct no_listener {
  void first_word(std::string_view) {}  // of a statement, or behind the bracket that opens it
  void word(std::string_view) {}        // each, the first ones too
  void quoted_identifier(std::string_view) {}
  void string(std::string_view) {}  // '…', B'…', X'…', with the quotes
};

// One statement after the other. The only ways in which a statement that begins harmlessly is not: SELECT …
// INTO, COPY … PROGRAM, set_config(), UPDATE pg_settings, an UPDATE or DELETE of every row. Words, blanks and
// punctuation are read here; everything with rules of its own (quotes, comments, numbers with a fraction) by
// the lexer.
template <typename Listener>
class classifier {
 public:
  classifier(std::string_view text, lexical_settings settings, Listener& listener)
      : text_(text), settings_(settings), tokens_(text), listener_(listener) {}

  suspicion run() {
    const char* const begin = text_.data();
    const char* const end = begin + text_.size();
    for (const char* at = begin; at < end;) {
      const unsigned bits = class_of(*at);
      if (bits & lexical::space) {
        ++at;
        continue;
      }
      if (bits & lexical::word_start) {
        const char* behind = at + 1;
        while (behind < end && (class_of(*behind) & lexical::word_part)) ++behind;
        // E'…', U&"…": a letter that belongs to what follows
        if (behind < end && behind == at + 1 && (*behind == '\'' || *behind == '&')) {
          if (!by_lexer(at)) return suspicion::suspicious;
          continue;
        }
        if (!word({at, static_cast<std::size_t>(behind - at)})) return suspicion::suspicious;
        at = behind;
        continue;
      }
      if (bits & lexical::punctuation) {
        if (!punctuation(*at)) return suspicion::suspicious;
        ++at;
        continue;
      }
      if (is_simple(at, end, bits)) {
        if (!inside_statement()) return suspicion::suspicious;
        previous_ = previous_token::other;
        continue;
      }
      if (!by_lexer(at)) return suspicion::suspicious;
    }
    return needs_where_ ? suspicion::suspicious : suspicion::harmless;
  }

 private:
  // What the token before was, as far as it matters to the next.
  enum class previous_token : unsigned char {
    other,
    dml_verb,  // an INSERT or MERGE that begins a statement
    dot,
    opening,  // (
    closing,  // )
  };

  static unsigned class_of(char c) { return lexical::classes[static_cast<unsigned char>(c)]; }

  // An integer, or an operator character that can't begin a comment: passed over.
  static bool is_simple(const char*& at, const char* end, unsigned bits) {
    if (bits & lexical::operator_part) {
      if (*at == '-' || *at == '/') return false;
      ++at;
      return true;
    }
    if (!(bits & lexical::digit)) return false;
    const char* behind = at + 1;
    while (behind < end && (class_of(*behind) & lexical::digit)) ++behind;
    if (behind < end && (*behind == '.' || *behind == 'e' || *behind == 'E')) return false;
    at = behind;
    return true;
  }

  bool inside_statement() const { return opening_ != opening::none && opening_ != opening::bracket; }

  // The token at `at`, or comments and the token behind them; moves behind it.
  bool by_lexer(const char*& at) {
    tokens_.seek(static_cast<std::uint32_t>(at - text_.data()));
    const token t = tokens_.next();
    at = text_.data() + t.end;
    const std::string_view spelling = text_.substr(t.begin, t.size());
    switch (t.kind) {
      case token_kind::end:
        return true;
      case token_kind::word:
        return word(spelling);
      case token_kind::punctuation:
        return punctuation(spelling[0]);
      case token_kind::string:
      case token_kind::bit_string:
        // A backslash may hide the closing quote.
        if (t.backslash && !settings_.standard_conforming_strings) return false;
        listener_.string(spelling);
        break;
      case token_kind::quoted_identifier: {
        const std::string_view name = spelling.substr(1, spelling.size() - 2);
        if (sets_settings(name)) return false;
        listener_.quoted_identifier(name);
        break;
      }
      case token_kind::odd:
      case token_kind::unicode_identifier:
      case token_kind::unicode_string:
        return false;
      default:
        break;
    }
    previous_ = previous_token::other;
    return inside_statement();
  }

  bool punctuation(char c) {
    previous_ = c == '.' ? previous_token::dot : previous_token::other;
    if (c == ',' || c == '.') return inside_statement();
    switch (c) {
      case ';':
        if (opening_ == opening::bracket || needs_where_) return false;
        opening_ = opening::none;
        depth_ = 0;
        query_seen_ = false;
        return true;
      case '(':
        if (opening_ == opening::none) opening_ = opening::bracket;
        ++depth_;
        previous_ = previous_token::opening;
        return true;
      case ')':
        if (needs_where_ && depth_ <= change_depth_) return false;
        --depth_;
        previous_ = previous_token::closing;
        break;
      default:
        break;
    }
    return inside_statement();
  }

  bool word(std::string_view spelling) {
    listener_.word(spelling);
    if (!inside_statement()) return first_word(spelling);
    const previous_token before = previous_;
    previous_ = previous_token::other;
    switch (spelling[0] | 0x20) {
      case 'i':
        if (spelling.size() == 4 && packed(spelling) == words::into)
          return before == previous_token::dml_verb;
        if (spelling.size() == 6 && may_begin_dml(before) && packed(spelling) == words::insert)
          previous_ = previous_token::dml_verb;
        return true;
      case 'm':
        if (spelling.size() == 5 && may_begin_dml(before) && packed(spelling) == words::merge)
          previous_ = previous_token::dml_verb;
        return true;
      case 's':
        if (spelling.size() == 6 && depth_ == 0 && packed(spelling) == words::select) query_seen_ = true;
        if (before == previous_token::closing && !word_of_change(spelling, before)) return false;
        return !(spelling.size() == 10 && equals_folded(spelling, "set_config"));
      case 'p':
        if (spelling.size() == 7 && opening_ == opening::copy) return packed(spelling) != words::program;
        return !(spelling.size() == 11 && equals_folded(spelling, "pg_settings"));
      default:
        return (before < previous_token::opening && !needs_where_) || word_of_change(spelling, before);
    }
  }

  // Where an UPDATE or DELETE may begin, or its WHERE stand. It begins a statement, or stands behind the
  // bracket that opens a CTE, or behind the last CTE; behind a SEARCH or CYCLE clause of that it is not
  // looked for: those are suspicious themselves. FOR UPDATE, DO UPDATE and THEN DELETE stand behind words.
  // Not inline: it would cost every other word.
  [[gnu::noinline]] bool word_of_change(std::string_view spelling, previous_token before) {
    const bool at_own_level = needs_where_ && depth_ == change_depth_;
    switch (spelling[0] | 0x20) {
      case 'u':
        return before < previous_token::opening || spelling.size() != 6 ||
               packed(spelling) != words::update || begin_change();
      case 'd':
        return before < previous_token::opening || spelling.size() != 6 ||
               packed(spelling) != words::delete_ || begin_change();
      case 'w':
        if (!at_own_level || before == previous_token::dot || spelling.size() != 5 ||
            packed(spelling) != words::where)
          return true;
        needs_where_ = false;
        return looks_at_something(spelling.data() + spelling.size());
      case 'r':  // no WHERE can follow
        return !at_own_level || !is_returning(spelling);
      case 's':
        return before != previous_token::closing || spelling.size() != 6 || packed(spelling) != words::search;
      case 'c':
        return before != previous_token::closing || spelling.size() != 5 || packed(spelling) != words::cycle;
      default:
        return true;
    }
  }

  bool first_word(std::string_view spelling) {
    listener_.first_word(spelling);
    if (opening_ == opening::bracket && !opens_bracketed_query(spelling)) return false;
    opening_ = opening_of(spelling);
    previous_ = opening_ == opening::insert ? previous_token::dml_verb : previous_token::other;
    if (opening_ == opening::change) return begin_change();
    return opening_ != opening::suspicious;
  }

  // False: another is open already, which nobody writes.
  bool begin_change() {
    if (needs_where_) return false;
    needs_where_ = true;
    change_depth_ = depth_;
    return true;
  }

  // Whether the condition that begins at `at` names a column, a function or a parameter. WHERE true and WHERE
  // 1 = 1 do not, and are true for every row.
  bool looks_at_something(const char* at) {
    // as nearly all begin
    const char* const end = text_.data() + text_.size();
    while (at < end && (class_of(*at) & lexical::space)) ++at;
    if (at < end && (class_of(*at) & lexical::word_start)) {
      const char* behind = at + 1;
      while (behind < end && (class_of(*behind) & lexical::word_part)) ++behind;
      const bool prefix = behind < end && behind == at + 1 && (*behind == '\'' || *behind == '&');
      const std::string_view spelling(at, static_cast<std::size_t>(behind - at));
      if (!prefix && !is_truth_or_connective(spelling)) return !is_returning(spelling);
    }
    tokens_.seek(static_cast<std::uint32_t>(at - text_.data()));
    for (int depth = 0; depth >= 0;) {
      const token t = tokens_.next();
      const std::string_view spelling = text_.substr(t.begin, t.size());
      switch (t.kind) {
        case token_kind::word:
          if (!is_truth_or_connective(spelling)) return !is_returning(spelling);
          break;
        case token_kind::quoted_identifier:
        case token_kind::parameter:
          return true;
        case token_kind::punctuation:
          if (spelling == ";") return false;
          depth += spelling == "(" ? 1 : spelling == ")" ? -1 : 0;
          break;
        case token_kind::end:
          return false;
        default:
          break;
      }
    }
    return false;
  }

  static bool is_returning(std::string_view spelling) {
    return spelling.size() == 9 && equals_folded(spelling, "returning");
  }

  static bool is_truth_or_connective(std::string_view spelling) {
    constexpr std::size_t longest = 5;
    if (spelling.size() > longest) return false;
    switch (packed(spelling)) {
      case packed("not"):
      case packed("and"):
      case packed("or"):
      case packed("is"):
      case packed("true"):
      case packed("false"):
      case packed("null"):
        return true;
      default:
        return false;
    }
  }

  // INSERT and MERGE are no reserved words: "SELECT count(*) insert INTO new_table" has a column of that
  // name. They begin a statement only behind the bracket that opens a CTE, or behind the last CTE before any
  // SELECT.
  bool may_begin_dml(previous_token before) const {
    if (before == previous_token::opening) return true;
    return before == previous_token::closing && opening_ == opening::with && depth_ == 0 && !query_seen_;
  }

  std::string_view text_;
  lexical_settings settings_;
  lexer tokens_;
  Listener& listener_;
  opening opening_ = opening::none;
  previous_token previous_ = previous_token::other;
  bool query_seen_ = false;  // a SELECT outside brackets
  int depth_ = 0;
  bool needs_where_ = false;  // an UPDATE or DELETE is open whose WHERE has not been met
  int change_depth_ = 0;      // the brackets around it
};

inline bool has_high_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; });
}

// prefilter.hpp; what the listener has heard counts when the text is harmless.
template <typename Listener>
suspicion classify(std::string_view text, lexical_settings settings, Listener& listener) {
  if (text.find('\0') != std::string_view::npos) return suspicion::suspicious;
  if (!settings.ascii_safe_encoding && has_high_byte(text)) return suspicion::suspicious;
  return classifier<Listener>(text, settings, listener).run();
}

}  // namespace tidegate::sql
