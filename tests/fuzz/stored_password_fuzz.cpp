// Stored secrets, base64 and the preparation of passwords.
#include "protocol/base64.hpp"
#include "protocol/saslprep.hpp"
#include "protocol/stored_password.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace tidegate;
using namespace tidegate::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(fuzzing::input(data, size));
  if (const auto stored = parse_stored_password(text)) {
    if (const auto* secret = std::get_if<scram_secret>(&*stored)) {
      const auto again = parse_scram_secret(format_scram_secret(*secret));
      fuzzing::require(again.has_value() && *again == *secret, "a formatted secret is the same secret");
    }
  }
  if (const auto decoded = decode_base64(text)) {
    fuzzing::require(encode_base64(*decoded) == text, "base64 has one encoding");
  }
  const std::string prepared = saslprep(text);
  fuzzing::require(saslprep(prepared) == prepared, "a prepared password stays as it is");
  return 0;
}
