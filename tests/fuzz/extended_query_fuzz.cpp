#include "protocol/extended_query.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

namespace {

// The names alone are what the whole message has.
void check_bind(bytes body) {
  const auto names = decode_bind_names(body);
  const auto whole = decode_bind(body);
  fuzzing::check_round_trip(body, whole);
  if (!whole) return;
  fuzzing::require(names.has_value(), "a whole Bind has names");
  fuzzing::require(names->portal == whole->names.portal && names->statement == whole->names.statement,
                   "the names are the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  switch (data[0]) {
    case 'P':
      fuzzing::check_round_trip(body, decode_parse(body));
      break;
    case 'B':
      check_bind(body);
      break;
    case 'D':
      fuzzing::check_round_trip(body, decode_describe(body));
      break;
    case 'C':
      fuzzing::check_round_trip(body, decode_close(body));
      break;
    case 'E':
      fuzzing::check_round_trip(body, decode_execute(body));
      break;
    case 't':
      fuzzing::check_round_trip(body, decode_parameter_description(body));
      break;
    default:
      break;
  }
  return 0;
}
