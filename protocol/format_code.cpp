#include "protocol/format_code.hpp"

namespace tidegate::protocol {

format_code read_format_code(reader& in) {
  const std::uint16_t code = in.uint16();
  if (code > static_cast<std::uint16_t>(format_code::binary)) {
    in.fail(protocol_errc::bad_value);
    return format_code::text;
  }
  return static_cast<format_code>(code);
}

std::vector<format_code> read_format_codes(reader& in) {
  const std::uint16_t count = in.count(sizeof(std::uint16_t));
  std::vector<format_code> codes;
  codes.reserve(count);
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) codes.push_back(read_format_code(in));
  return codes;
}

void write_format_codes(writer& to, const std::vector<format_code>& codes) {
  to.count(codes.size());
  for (const auto code : codes) to.uint16(static_cast<std::uint16_t>(code));
}

}  // namespace tidegate::protocol
