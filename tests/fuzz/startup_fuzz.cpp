// Packets without a type byte (input begins with NUL) and NegotiateProtocolVersion.
#include "protocol/startup.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

namespace {

void check_packet(bytes body) {
  const auto packet = decode_startup_packet(body);
  if (!packet) return;
  if (const auto* message = std::get_if<startup_message>(&*packet)) {
    (void)message->user();
    (void)message->database();
    (void)message->protocol_options();
  }
  if (std::holds_alternative<unknown_version>(*packet)) return;
  byte_buffer out;
  writer to(out);
  std::visit(
      [&to](const auto& message) {
        if constexpr (requires { encode(to, message); }) encode(to, message);
      },
      *packet);
  fuzzing::require(as_text(bytes(out).subspan(4)) == as_text(body),
                   "a decoded packet encodes to the same bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bytes body = fuzzing::input(data + 1, size - 1);
  if (data[0] == 'v') {
    fuzzing::check_round_trip(body, decode_negotiate_protocol_version(body));
  } else {
    check_packet(body);
  }
  return 0;
}
