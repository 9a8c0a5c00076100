#include "protocol/copy.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  switch (data[0]) {
    case 'd':
      fuzzing::check_round_trip(body, decode_copy_data(body));
      break;
    case 'f':
      fuzzing::check_round_trip(body, decode_copy_fail(body));
      break;
    case 'G':
    case 'H':
    case 'W':
      fuzzing::check_round_trip(body, decode_copy_response(static_cast<copy_direction>(data[0]), body));
      break;
    default:
      break;
  }
  return 0;
}
