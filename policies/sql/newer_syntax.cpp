#include "policies/sql/newer_syntax.hpp"

#include "policies/sql/token_list.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <utility>

namespace tidegate::sql {
namespace {

class adapter {
 public:
  adapter(std::string_view text, bool backslashes_escape)
      : tokens_(text, {0, static_cast<position>(text.size())}, backslashes_escape) {
    result_.text = text;
  }

  adapted_text run() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_.is_word(i, "generated")) generated_column(i);
      if (tokens_.is_word(i, "set") && tokens_.is_word(i + 1, "expression")) set_expression(i);
      if (tokens_.is_word(i, "enforced")) enforced(i);
      if (tokens_.is_word(i, "not") && tokens_.is_word(i + 1, "null")) not_null_constraint(i);
      if (tokens_.is_word(i, "storage")) column_storage(i);
      if (tokens_.is_word(i, "alter") && tokens_.is_word(i + 1, "constraint")) constraint_inheritance(i + 2);
      if (tokens_.is_word(i, "statistics") && tokens_.is_word(i + 1, "default")) respell(i + 1, i + 2, "-1");
      if (tokens_.is_word(i, "without") && tokens_.is_word(i + 1, "overlaps")) respell(i, i + 2, "");
      if (tokens_.is_word(i, "period") && tokens_.is_name(i + 1) && tokens_.is_char(i - 1, ','))
        respell(i, i + 1, "");
      if (tokens_.is_any_word(i, {"vacuum", "analyze"}) && tokens_.is_word(i + 1, "only"))
        respell(i + 1, i + 2, "");
      if (tokens_[i].kind == token_kind::number) number(i);
      if (tokens_[i].kind == token_kind::odd && tokens_.spelling(i) == "\v") respell(i, i + 1, "");
    }
    return std::move(result_);
  }

 private:
  // Puts `with` and blanks in the place of the tokens [from, end); it is not longer than they are.
  void respell(std::size_t from, std::size_t end, std::string_view with,
               adaptation_kind kind = adaptation_kind::other) {
    const text_range place = tokens_.range(from, end);
    const auto begin = static_cast<std::size_t>(place.begin);
    const auto size = static_cast<std::size_t>(place.end) - begin;
    std::fill_n(result_.text.begin() + place.begin, size, ' ');
    std::copy(with.begin(), with.end(), result_.text.begin() + place.begin);
    result_.adaptations.push_back({kind, place.begin});
  }

  // GENERATED ALWAYS AS (…) [VIRTUAL], 18. STORED stays what it is.
  void generated_column(std::size_t i) {
    if (!tokens_.is_word(i + 1, "always") || !tokens_.is_word(i + 2, "as") || !tokens_.is_char(i + 3, '('))
      return;
    const std::size_t behind = tokens_.closing(i + 3) + 1;
    if (tokens_.is_word(behind, "stored")) return;
    if (tokens_.is_word(behind, "virtual")) respell(behind, behind + 1, "");
    respell(i, i + 3, "DEFAULT", adaptation_kind::virtual_column);
  }

  // ALTER COLUMN … SET EXPRESSION AS (…), 17.
  void set_expression(std::size_t i) {
    if (tokens_.is_word(i + 2, "as")) respell(i + 1, i + 3, "DEFAULT", adaptation_kind::set_expression);
  }

  // [NOT] ENFORCED behind a constraint, 18. Elsewhere the word is a name.
  void enforced(std::size_t i) {
    const bool negated = i > 0 && tokens_.is_word(i - 1, "not");
    const bool behind_constraint =
        negated || (i > 0 && (tokens_.is_char(i - 1, ')') ||
                              tokens_.is_any_word(i - 1, {"valid", "deferred", "immediate", "deferrable"})));
    if (!behind_constraint) return;
    respell(negated ? i - 1 : i, i + 1, "", negated ? adaptation_kind::not_enforced : adaptation_kind::other);
  }

  // ADD [CONSTRAINT name] NOT NULL column, 18; the same among the constraints of CREATE TABLE.
  void not_null_constraint(std::size_t i) {
    if (!tokens_.is_name(i + 2) || i == 0) return;
    std::size_t before = i - 1;
    if (before >= 2 && tokens_.is_word(before - 1, "constraint")) before -= 2;
    if (!tokens_.is_word(before, "add") && !tokens_.is_char(before, ',') && !tokens_.is_char(before, '('))
      return;
    const std::string column(tokens_.spelling(i + 2));
    respell(i, i + 3, "CHECK(" + column + ")", adaptation_kind::not_null_constraint);
  }

  // column type STORAGE kind, 16; ALTER … SET STORAGE is older.
  void column_storage(std::size_t i) {
    const bool in_definition =
        i > 1 && !tokens_.is_word(i - 1, "set") && !tokens_.is_any_word(i - 1, {"including", "excluding"});
    if (in_definition && tokens_.is_any_word(i + 1, {"plain", "external", "extended", "main", "default"}))
      respell(i, i + 2, "");
  }

  // ALTER CONSTRAINT name [NO] INHERIT, 18.
  void constraint_inheritance(std::size_t name) {
    if (tokens_.is_word(name + 1, "no") && tokens_.is_word(name + 2, "inherit")) {
      respell(name + 1, name + 3, "");
    } else if (tokens_.is_word(name + 1, "inherit")) {
      respell(name + 1, name + 2, "");
    }
  }

  // 1_000 and 0xFF, 16: the lexer sees a number and a word next to it.
  void number(std::size_t i) {
    if (i + 1 >= tokens_.size() || tokens_[i].end != tokens_[i + 1].begin ||
        tokens_[i + 1].kind != token_kind::word)
      return;
    std::string digits(tokens_.spelling(i));
    digits += tokens_.spelling(i + 1);
    const std::size_t size = digits.size();
    std::erase(digits, '_');
    if (digits.size() > 2 && digits[0] == '0' && !std::isdigit(static_cast<unsigned char>(digits[1]))) {
      const int base = (digits[1] | 0x20) == 'x' ? 16 : (digits[1] | 0x20) == 'o' ? 8 : 2;
      std::uint64_t value = 0;
      const auto [end, error] =
          std::from_chars(digits.data() + 2, digits.data() + digits.size(), value, base);
      if (error != std::errc{} || end != digits.data() + digits.size()) return;
      digits = std::to_string(value);
    }
    const bool decimal =
        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!decimal || digits.size() > size) return;
    respell(i, i + 2, std::string(size - digits.size(), '0') + digits);
  }

  token_list tokens_;
  adapted_text result_;
};

}  // namespace

adapted_text adapt_newer_syntax(std::string_view text, bool backslashes_escape) {
  return adapter(text, backslashes_escape).run();
}

}  // namespace tidegate::sql
