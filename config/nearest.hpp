#pragma once
// "Did you mean …": the known word that is nearest to a mistyped one. Pure.

#include <span>
#include <string_view>

namespace tidegate::config {

// The nearest of `known` by insertions, deletions, replacements and swaps of neighbours; empty when none is
// near (more than a third of its letters differ, and more than two).
std::string_view nearest(std::string_view typed, std::span<const std::string_view> known);

}  // namespace tidegate::config
