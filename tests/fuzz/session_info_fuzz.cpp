#include "protocol/session_info.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  switch (data[0]) {
    case 'S':
      fuzzing::check_round_trip(body, decode_parameter_status(body));
      break;
    case 'K':
      fuzzing::check_round_trip(body, decode_backend_key_data(body));
      break;
    case 'Z':
      fuzzing::check_round_trip(body, decode_ready_for_query(body));
      break;
    default:
      break;
  }
  return 0;
}
