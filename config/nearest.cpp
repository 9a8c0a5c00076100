#include "config/nearest.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tidegate::config {
namespace {

// Optimal string alignment distance (Damerau 1964, with each neighbour swapped at most once).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view typed, std::span<const std::string_view> known) {
  constexpr std::size_t longest = 100;
  if (typed.size() > longest) return {};
  std::string_view best;
  std::size_t best_distance = 0;
  for (std::string_view word : known) {
    const std::size_t d = distance(typed, word);
    if (d > std::max<std::size_t>(2, word.size() / 3) || d >= word.size()) continue;
    if (best.empty() || d < best_distance) {
      best = word;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace tidegate::config
