#include "policies/verdict.hpp"

#include <array>
#include <cstddef>

namespace tidegate::policies {

namespace {
constexpr std::array<std::string_view, 5> names = {"allow", "warn", "rewrite", "plan", "block"};
}

std::string_view name(verdict v) {
  return names[static_cast<std::size_t>(v)];
}

std::optional<verdict> parse_verdict(std::string_view text) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) return static_cast<verdict>(i);
  return std::nullopt;
}

}  // namespace tidegate::policies
