#pragma once
// What happens to a statement, from the mildest to the hardest.

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::policies {

enum class verdict : std::uint8_t {
  allow,    // runs as it is, guarded when it takes a strong lock
  warn,     // runs, with a NOTICE
  rewrite,  // runs as another statement with the same effect (CONCURRENTLY)
  plan,     // runs as several steps; refused with the steps as long as there is no planner for it
  block,    // refused
};

std::string_view name(verdict v);
std::optional<verdict> parse_verdict(std::string_view text);

}  // namespace tidegate::policies
