#include "proxy/cli/server_version.hpp"

#include <charconv>
#include <system_error>

namespace tidegate::cli {

std::optional<int> parse_server_version(std::string_view text) {
  int major = 0;
  int minor = 0;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, major);
  if (read.ec != std::errc() || major <= 0) return std::nullopt;
  if (read.ptr != end && *read.ptr == '.') read = std::from_chars(read.ptr + 1, end, minor);
  if (read.ec != std::errc() || read.ptr != end || minor < 0) return std::nullopt;
  const int number = major >= 10000 ? major : major * 10000 + minor;
  return number >= 120000 && number < 1000000 ? std::optional(number) : std::nullopt;
}

}  // namespace tidegate::cli
