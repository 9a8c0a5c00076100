// R messages, and every reading of p messages.
#include "protocol/authentication.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  if (data[0] == 'R') {
    const auto request = decode_authentication_request(body);
    if (!request) return 0;
    byte_buffer out;
    writer to(out);
    std::visit([&to](const auto& message) { encode(to, message); }, *request);
    fuzzing::require(as_text(bytes(out).subspan(frame_header_size)) == as_text(body),
                     "a decoded request encodes to the same bytes");
  } else {
    fuzzing::check_round_trip(body, decode_password_message(body));
    fuzzing::check_round_trip(body, decode_sasl_initial_response(body));
    fuzzing::check_round_trip(body, decode_sasl_response(body));
    fuzzing::check_round_trip(body, decode_gss_response(body));
  }
  return 0;
}
