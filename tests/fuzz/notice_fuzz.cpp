// Errors and notices may repeat a field and come in any order, so what is stable is the second encoding.
#include "protocol/notice.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

namespace {

byte_buffer body_again(const notice& message) {
  byte_buffer out;
  writer to(out);
  encode_error_response(to, message);
  return {out.begin() + frame_header_size, out.end()};
}

void check_notice(bytes body) {
  const auto first = decode_notice(body);
  if (!first) return;
  (void)first->ends_connection();
  const byte_buffer again = body_again(*first);
  const auto second = decode_notice(again);
  fuzzing::require(second.has_value(), "an encoded notice is a notice");
  fuzzing::require(body_again(*second) == again, "and encodes to the same bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  if (data[0] == 'A') {
    fuzzing::check_round_trip(body, decode_notification_response(body));
  } else {
    check_notice(body);
  }
  return 0;
}
