#include "config/quantity.hpp"

#include <array>
#include <limits>
#include <utility>

namespace tidegate::config {
namespace {

constexpr std::int64_t largest_duration = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t largest_size = std::int64_t{1} << 62;

// digits[.digits], exactly; `scale` is the power of ten that `digits` is divided by.
struct decimal {
  std::int64_t digits = 0;
  std::int64_t scale = 1;
};

// Takes the number off the front of `text`.
std::optional<decimal> take_number(std::string_view& text) {
  constexpr std::size_t most_digits = 15;  // so that nothing below overflows
  decimal number;
  std::size_t digits = 0;
  bool is_fraction = false;
  while (!text.empty()) {
    const char c = text.front();
    if (c == '.' && !is_fraction && digits > 0) {
      is_fraction = true;
    } else if (c >= '0' && c <= '9' && ++digits <= most_digits) {
      number.digits = number.digits * 10 + (c - '0');
      if (is_fraction) number.scale *= 10;
    } else {
      break;
    }
    text.remove_prefix(1);
  }
  if (digits == 0 || digits > most_digits) return std::nullopt;
  return number;
}

// number * unit when that is whole and at most `largest`.
std::optional<std::int64_t> multiply(decimal number, std::int64_t unit, std::int64_t largest) {
  if (number.digits != 0 && unit > std::numeric_limits<std::int64_t>::max() / number.digits)
    return std::nullopt;
  const std::int64_t product = number.digits * unit;
  if (product % number.scale != 0 || product / number.scale > largest) return std::nullopt;
  return product / number.scale;
}

using unit_word = std::pair<std::string_view, std::int64_t>;

template <std::size_t N>
std::optional<std::int64_t> parse(std::string_view text, const std::array<unit_word, N>& units,
                                  std::int64_t largest) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  while (text.starts_with(' ')) text.remove_prefix(1);
  for (const auto& [word, unit] : units) {
    if (text == word) return multiply(*number, unit, largest);
  }
  if (text.empty() && number->digits == 0) return 0;
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<unit_word, 6> units{
      {{"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  const auto count = parse(text, units, largest_duration);
  if (!count) return std::nullopt;
  return std::chrono::milliseconds(*count);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  constexpr std::int64_t k = 1024;
  static constexpr std::array<unit_word, 11> units{{{"", 1},
                                                    {"B", 1},
                                                    {"kB", k},
                                                    {"KB", k},
                                                    {"KiB", k},
                                                    {"MB", k * k},
                                                    {"MiB", k * k},
                                                    {"GB", k * k * k},
                                                    {"GiB", k * k * k},
                                                    {"TB", k * k * k * k},
                                                    {"TiB", k * k * k * k}}};
  return parse(text, units, largest_size);
}

}  // namespace tidegate::config
