#include "proxy/control/query_result.hpp"

#include <iterator>

#include <boost/algorithm/hex.hpp>

namespace tidegate::control {

std::string text(const text_row& row, std::size_t column) {
  return column < row.size() && row[column] ? *row[column] : std::string();
}

bool truth(const text_row& row, std::size_t column) {
  return column < row.size() && row[column] && !row[column]->empty() && row[column]->front() == 't';
}

std::int64_t setting_in_ms(std::string_view shown) {
  std::int64_t value = 0;
  std::size_t at = 0;
  while (at < shown.size() && shown[at] >= '0' && shown[at] <= '9') value = value * 10 + (shown[at++] - '0');
  const std::string_view unit = shown.substr(at);
  if (unit == "s") return value * 1000;
  if (unit == "min") return value * 60'000;
  if (unit == "h") return value * 3'600'000;
  if (unit == "d") return value * 86'400'000;
  return value;
}

// https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO, one dimension.
std::vector<std::string> array(const text_row& row, std::size_t column) {
  std::vector<std::string> elements;
  const std::string cell = text(row, column);
  if (cell.size() < 3 || cell.front() != '{' || cell.back() != '}') return elements;
  std::size_t at = 1;
  const std::size_t end = cell.size() - 1;
  while (at < end) {
    std::string element;
    const bool quoted = cell[at] == '"';
    if (quoted) {
      for (++at; at < end && cell[at] != '"'; ++at) {
        if (cell[at] == '\\' && at + 1 < end) ++at;
        element += cell[at];
      }
      ++at;  // the closing quote
    } else {
      while (at < end && cell[at] != ',') element += cell[at++];
      if (element == "NULL") element.clear();
    }
    elements.push_back(std::move(element));
    ++at;  // the comma
  }
  return elements;
}

std::string text_array(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    out += out.size() == 1 ? "\"" : ",\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

std::string bytea(std::span<const std::byte> bytes) {
  std::string out = "\\x";
  const auto* const begin = reinterpret_cast<const unsigned char*>(bytes.data());
  boost::algorithm::hex_lower(begin, begin + bytes.size(), std::back_inserter(out));
  return out;
}

}  // namespace tidegate::control
