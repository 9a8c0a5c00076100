#include "policies/sql/session_effects.hpp"

#include "policies/sql/classifier.hpp"
#include "policies/sql/lexer.hpp"
#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <array>

namespace tidegate::sql {
namespace {

using enum session_effect;

bool starts_folded(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && equals_folded(text.substr(0, lower.size()), lower);
}

// Of a word wherever it stands. Most words are told apart by their first letter.
session_effects of_word(std::string_view word) {
  switch (word[0] | 0x20) {
    case 'c':
      if (equals_folded(word, "currval")) return sequence_value;
      break;
    case 'd':
      if (equals_folded(word, "deallocate") || equals_folded(word, "discard")) return statement_names;
      if (starts_folded(word, "dblink")) return unmovable;
      break;
    case 'e':
      // What it runs was prepared out of sight.
      if (equals_folded(word, "execute")) return session_effects::all();
      break;
    case 'h':
      if (equals_folded(word, "hold")) return cursors;
      break;
    case 'l':
      if (equals_folded(word, "lastval")) return sequence_value;
      break;
    case 'n':
      if (equals_folded(word, "nextval")) return draws_values;
      break;
    case 'p':
      if (!starts_folded(word, "p")) break;
      if (equals_folded(word, "prepare")) return statement_names;
      if (!starts_folded(word, "pg_")) break;
      if (starts_folded(word, "pg_temp")) return temporary_objects;
      if (starts_folded(word, "pg_prepared_statement")) return statement_names;
      if (equals_folded(word, "pg_settings")) return settings;
      if (starts_folded(word, "pg_advisory_xact") || starts_folded(word, "pg_try_advisory_xact")) break;
      if (starts_folded(word, "pg_advisory_unlock")) return advisory_locks | releases;
      if (starts_folded(word, "pg_advisory") || starts_folded(word, "pg_try_advisory")) return advisory_locks;
      if (starts_folded(word, "pg_replication_origin_session")) return unmovable;
      break;
    case 's':
      if (equals_folded(word, "set_config")) return settings;
      if (equals_folded(word, "setseed")) return unmovable;
      break;
    case 't':
      if (equals_folded(word, "temp") || equals_folded(word, "temporary")) return temporary_objects;
      break;
    default:
      break;
  }
  return {};
}

// Of the first word of a statement.
session_effects of_first_word(std::string_view word) {
  switch (word[0] | 0x20) {
    case 'c':
      if (equals_folded(word, "call")) return session_effects::all();
      if (equals_folded(word, "close")) return releases;
      if (equals_folded(word, "copy")) return draws_values;
      break;
    case 'i':
      if (equals_folded(word, "insert")) return draws_values;
      break;
    case 'm':
      if (equals_folded(word, "merge")) return draws_values;
      break;
    case 'd':
      if (equals_folded(word, "do")) return session_effects::all();
      if (equals_folded(word, "discard")) return session_effects::all().without(statement_texts);
      if (equals_folded(word, "deallocate")) return statement_names | releases;
      if (equals_folded(word, "drop")) return releases;
      break;
    case 'l':
      if (equals_folded(word, "listen")) return channels;
      if (equals_folded(word, "load")) return unmovable;
      break;
    case 'r':
      if (equals_folded(word, "reset")) return settings | releases;
      break;
    case 's':
      if (equals_folded(word, "set")) return settings;
      break;
    case 'u':
      if (equals_folded(word, "unlisten")) return channels | releases;
      if (equals_folded(word, "update")) return draws_values;
      break;
    case 'w':
      if (equals_folded(word, "with")) return draws_values;
      break;
    default:
      break;
  }
  return {};
}

// Whether every statement takes prepared statements away, or only begins and ends transactions. A pass of its
// own, since few texts name prepared statements at all.
bool drops_at_most(std::string_view text) {
  static constexpr std::array<std::string_view, 10> words{"deallocate", "discard",  "begin", "start",
                                                          "commit",     "rollback", "end",   "abort",
                                                          "savepoint",  "release"};
  lexer tokens(text);
  bool begins = true;
  for (token t = tokens.next(); t.kind != token_kind::end; t = tokens.next()) {
    const std::string_view spelling = text.substr(t.begin, t.size());
    const bool is_separator = spelling == ";";
    if (begins && !is_separator && std::none_of(words.begin(), words.end(), [&](std::string_view each) {
          return equals_folded(spelling, each);
        }))
      return false;
    begins = is_separator;
  }
  return true;
}

// Of a word that may be a name, in quotes or not.
session_effects of_name(std::string_view name, std::span<const std::string> listed) {
  session_effects found = of_word(name);
  for (const std::string& each : listed) {
    if (equals_folded(name, each)) found |= unmovable;
  }
  return found;
}

session_effects of_string(std::string_view spelling) {
  return mentions_prefix(spelling, "pg_temp") ? temporary_objects : session_effects{};  // of search_path
}

// Hears of the words of a harmless text, which sets nothing.
struct effects_listener {
  std::span<const std::string> listed;
  session_effects found = {};

  void first_word(std::string_view word) { found |= of_first_word(word); }
  void word(std::string_view word) { found |= of_name(word, listed); }
  void quoted_identifier(std::string_view name) {
    if (!name.empty()) found |= of_name(name, listed);
  }
  void string(std::string_view spelling) { found |= of_string(spelling); }
};

}  // namespace

assessment assess(std::string_view text, lexical_settings settings_of_text,
                  std::span<const std::string> listed) {
  effects_listener listener{listed};
  if (classify(text, settings_of_text, listener) == suspicion::suspicious)
    return {suspicion::suspicious, effects_of(text, settings_of_text, listed)};
  if (listener.found.has(statement_names) && !drops_at_most(text)) listener.found |= statement_texts;
  return {suspicion::harmless, listener.found};
}

session_effects effects_of(std::string_view text, lexical_settings settings_of_text,
                           std::span<const std::string> listed) {
  if (!settings_of_text.ascii_safe_encoding && has_high_byte(text)) return session_effects::all();
  session_effects found;
  lexer tokens(text);
  bool begins = true;      // the next word is the first of its statement
  bool after_set = false;  // … and SET was
  for (token t = tokens.next(); t.kind != token_kind::end; t = tokens.next()) {
    const std::string_view spelling = text.substr(t.begin, t.size());
    switch (t.kind) {
      case token_kind::word:
        // SET LOCAL, SET TRANSACTION and SET CONSTRAINTS end with their transaction.
        if (after_set) {
          if (equals_folded(spelling, "local"))
            found |= local_settings;
          else if (equals_folded(spelling, "seed"))
            found |= unmovable;
          else if (!equals_folded(spelling, "transaction") && !equals_folded(spelling, "constraints"))
            found |= settings;
        }
        after_set = false;
        if (begins) {
          after_set = equals_folded(spelling, "set");
          if (!after_set) found |= of_first_word(spelling);
        }
        found |= of_name(spelling, listed);
        break;
      case token_kind::quoted_identifier:
        if (after_set) found |= settings;
        after_set = false;
        if (spelling.size() > 2) found |= of_name(spelling.substr(1, spelling.size() - 2), listed);
        break;
      case token_kind::string:
      case token_kind::bit_string:
        if (t.backslash && !settings_of_text.standard_conforming_strings) return session_effects::all();
        found |= of_string(spelling);
        break;
      case token_kind::odd:
      case token_kind::unicode_identifier:
      case token_kind::unicode_string:
        return session_effects::all();
      default:
        break;
    }
    begins = spelling == ";" || (begins && spelling == "(");
  }
  if (found.has(statement_names) && !drops_at_most(text)) found |= statement_texts;
  return found;
}

namespace {

// Collects names up to a bound.
class name_collector {
 public:
  name_collector(std::vector<std::string>& names, std::size_t most) : names_(names), most_(most) {}

  bool add(std::string_view spelling) {
    if (spelling.find('.') == std::string_view::npos) return true;
    std::string name;
    for (const char c : spelling) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) return true;
    if (names_.size() >= most_) return false;
    names_.push_back(std::move(name));
    return true;
  }

  // Every dotted name of a text that is code of some language.
  bool add_all(std::string_view text) {
    const auto is = [](char c, unsigned bits) {
      return (lexical::classes[static_cast<unsigned char>(c)] & bits) != 0;
    };
    for (std::size_t at = 0; at < text.size();) {
      if (!is(text[at], lexical::word_start)) {
        ++at;
        continue;
      }
      const std::size_t begin = at;
      while (at < text.size() &&
             (is(text[at], lexical::word_part) ||
              (text[at] == '.' && at + 1 < text.size() && is(text[at + 1], lexical::word_start))))
        ++at;
      if (!add(text.substr(begin, at - begin))) return false;
    }
    return true;
  }

 private:
  std::vector<std::string>& names_;
  std::size_t most_;
};

}  // namespace

bool collect_custom_settings(std::string_view text, std::vector<std::string>& names, std::size_t most) {
  name_collector collected(names, most);
  enum class at : std::uint8_t { elsewhere, begin, name, in_name, function, argument };
  at where = at::begin;
  std::string name;  // behind SET, so far
  lexer tokens(text);
  for (token t = tokens.next();; t = tokens.next()) {
    const std::string_view spelling = text.substr(t.begin, t.size());
    const bool is_word = t.kind == token_kind::word;
    if (where == at::in_name) {
      if (spelling == ".") {
        name += '.';
        continue;
      }
      const bool goes_on = !name.empty() && name.back() == '.';
      if (goes_on && (is_word || t.kind == token_kind::quoted_identifier)) {
        name += is_word ? spelling : spelling.substr(1, spelling.size() - 2);
        continue;
      }
      if (!collected.add(name)) return false;
      name.clear();
      where = at::elsewhere;
    }
    if (t.kind == token_kind::end) return true;
    if (t.kind == token_kind::dollar_string && !collected.add_all(spelling)) return false;
    switch (where) {
      case at::begin:
        where = is_word && (equals_folded(spelling, "set") || equals_folded(spelling, "reset"))
                    ? at::name
                    : at::elsewhere;
        break;
      case at::name:
        if (is_word && (equals_folded(spelling, "session") || equals_folded(spelling, "local"))) break;
        where = at::elsewhere;
        if (is_word || t.kind == token_kind::quoted_identifier) {
          name = is_word ? spelling : spelling.substr(1, spelling.size() - 2);
          where = at::in_name;
        }
        break;
      case at::function:
        where = spelling == "(" ? at::argument : at::elsewhere;
        break;
      case at::argument:
        // A name that is a parameter or is put together can't be followed.
        if (t.kind != token_kind::string || t.backslash || spelling.front() != '\'') return false;
        if (!collected.add(spelling.substr(1, spelling.size() - 2))) return false;
        where = at::elsewhere;
        break;
      case at::in_name:
      case at::elsewhere:
        break;
    }
    if (where == at::elsewhere && (is_word || t.kind == token_kind::quoted_identifier)) {
      const std::string_view word = is_word ? spelling : spelling.substr(1, spelling.size() - 2);
      if (equals_folded(word, "set_config")) where = at::function;
    }
    if (spelling == ";") where = at::begin;
  }
}

}  // namespace tidegate::sql
