#include "protocol/simple_query.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  switch (data[0]) {
    case 'Q':
      fuzzing::check_round_trip(body, decode_query(body));
      break;
    case 'T':
      fuzzing::check_round_trip(body, decode_row_description(body));
      break;
    case 'D':
      fuzzing::check_round_trip(body, decode_data_row(body));
      break;
    case 'C':
      fuzzing::check_round_trip(body, decode_command_complete(body));
      break;
    case 'F':
      fuzzing::check_round_trip(body, decode_function_call(body));
      break;
    case 'V':
      fuzzing::check_round_trip(body, decode_function_call_response(body));
      break;
    default:
      break;
  }
  return 0;
}
