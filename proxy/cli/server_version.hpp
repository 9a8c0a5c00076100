#pragma once
// --server-version of the command line.

#include <optional>
#include <string_view>

namespace tidegate::cli {

// "15" -> 150000, "14.2" -> 140002, "150004" as it is; 12 or later. None: it is no version.
std::optional<int> parse_server_version(std::string_view text);

}  // namespace tidegate::cli
