#pragma once
// The templates of query_result.hpp.

#include "proxy/control/query_result.hpp"

#include <charconv>
#include <type_traits>

namespace tidegate::control {

template <class Number>
std::optional<Number> number(const text_row& row, std::size_t column) {
  if (column >= row.size() || !row[column]) return std::nullopt;
  const std::string& cell = *row[column];
  Number value{};
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

template <class Range>
std::string array_literal(const Range& words) {
  std::string literal = "{";
  for (const auto& word : words) {
    if (literal.size() > 1) literal += ',';
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(word)>>)
      literal += std::to_string(word);
    else
      literal += word;
  }
  return literal += '}';
}

}  // namespace tidegate::control
