// Both roles of SCRAM against a hostile peer. Input: role and channel binding, then the peer's two messages
// with a NUL between.
#include "protocol/scram.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

namespace {

const scram_keys& keys() {
  static const scram_keys derived = derive_scram_keys("secret", {byte_buffer(16), 1});
  return derived;
}

void check_server(bool plus, bool offered, std::string_view first, std::string_view final) {
  const scram_secret secret = make_scram_secret(keys(), {byte_buffer(16), 1});
  scram_server server(secret, true, "server", {offered, byte_buffer(32)});
  const auto answer = server.on_client_first(plus ? scram_sha_256_plus : scram_sha_256, first);
  if (!answer) return;
  const auto success = server.on_client_final(final);
  if (success) fuzzing::require(belongs_to(success->client_key, secret), "only the right proof succeeds");
}

void check_client(client_channel_binding::flag flag, std::string_view first, std::string_view final) {
  scram_client client("client", {flag, byte_buffer(32)});
  (void)client.first_message();
  const auto challenge = client.on_server_first(first);
  if (!challenge) return;
  fuzzing::require(
      challenge->iterations <= max_scram_iterations && challenge->salt.size() <= max_scram_salt_size,
      "the work is bounded");
  fuzzing::require(client.final_message(keys()).has_value(), "a challenge can be answered");
  fuzzing::require(client.on_server_final(final).failed() == !client.server_is_proved(), "proved or failed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = as_text(fuzzing::input(data + 1, size - 1));
  const std::size_t end = rest.find('\0');
  const std::string_view first = rest.substr(0, end);
  const std::string_view final = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  using flag = client_channel_binding::flag;
  switch (data[0] % 6) {
    case 0:
      check_server(false, false, first, final);
      break;
    case 1:
      check_server(false, true, first, final);
      break;
    case 2:
      check_server(true, true, first, final);
      break;
    case 3:
      check_client(flag::none, first, final);
      break;
    case 4:
      check_client(flag::refused, first, final);
      break;
    case 5:
      check_client(flag::bound, first, final);
      break;
    default:
      break;
  }
  return 0;
}
