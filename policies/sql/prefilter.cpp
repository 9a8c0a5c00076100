#include "policies/sql/prefilter.hpp"

#include "policies/sql/classifier.hpp"

namespace tidegate::sql {

bool reaches_prepared(std::string_view text) {
  lexer tokens(text);
  token first = tokens.next();
  while (first.kind == token_kind::punctuation) first = tokens.next();
  if (first.kind != token_kind::word) return false;
  const std::string_view word = text.substr(first.begin, first.size());
  if (word.size() > longest_packed) return false;
  const std::uint64_t value = packed(word);
  return value == packed("execute") || value == packed("fetch") || value == packed("move");
}

suspicion classify(std::string_view text, lexical_settings settings) {
  no_listener nobody;
  return classify(text, settings, nobody);
}

}  // namespace tidegate::sql
