// The pre-filter against the parser: what it calls harmless is harmless to the parser, under either reading
// of backslashes. And nothing that looks at text falls over whatever the text is.
#include "policies/sql/encoding.hpp"
#include "policies/sql/normalise.hpp"
#include "policies/sql/parse.hpp"
#include "policies/sql/prefilter.hpp"
#include "policies/sql/session_effects.hpp"
#include "tests/fuzz/fuzzing.hpp"
#include "tests/support/harmless_oracle.hpp"

#include <string_view>

using namespace tidegate;
using namespace tidegate::sql;

namespace {

// Ranges lie inside the text and never cross.
void check_ranges(std::string_view text, const parsed& result) {
  position behind = 0;
  for (const statement& s : result.statements) {
    fuzzing::require(s.range.begin >= behind && s.range.end >= s.range.begin,
                     "statements follow one another");
    behind = s.range.end;
  }
  fuzzing::require(static_cast<std::size_t>(behind) <= text.size(), "a statement lies inside its text");
}

void check(std::string_view text, bool conforming) {
  const lexical_settings settings{conforming, true};
  check_ranges(text, parse(text, {.standard_conforming_strings = conforming}));
  if (classify(text, settings) == suspicion::harmless)
    fuzzing::require(is_harmless_to_the_parser(text, conforming), "what is called harmless is harmless");
  fuzzing::require(assess(text, settings).effects == effects_of(text, settings),
                   "one pass finds what two find");
  constexpr std::string_view names[] = {"t", "orders"};
  (void)mentions_any(text, settings, names);
  fuzzing::require(normalise(text, settings, 64).size() <= 64, "a normal form keeps its limit");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, true);
  check(text, false);
  (void)parse_expression(text);
  (void)to_utf8(text, "GB18030");
  return 0;
}
