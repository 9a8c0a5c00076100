#include "proxy/cli/yaml_text.hpp"

#include <algorithm>
#include <array>

namespace tidegate::cli {
namespace {

// Words that mean something else to readers of YAML; quoting them costs nothing.
constexpr auto special = std::to_array<std::string_view>(
    {"true", "false", "null", "yes", "no", "on", "y", "n", "True", "False", "Null", "Yes", "No", "On"});

bool is_plain(std::string_view text) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
  constexpr std::string_view others = "0123456789.-";
  if (text.empty()) return false;
  if (text.find_first_not_of("0123456789") == std::string_view::npos) return text == "0" || text[0] != '0';
  const bool begins =
      letters.find(text[0]) != std::string_view::npos || (text[0] >= '1' && text[0] <= '9');  // 60s, 10.0.0.1
  return begins &&
         std::ranges::all_of(text,
                             [&](char c) {
                               return letters.find(c) != std::string_view::npos ||
                                      others.find(c) != std::string_view::npos;
                             }) &&
         std::ranges::find(special, text) == special.end();
}

std::string scalar_text(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

yaml_text& yaml_text::operator[](std::string_view key) {
  for (auto& [name, value] : members_) {
    if (name == key) return value;
  }
  return members_.emplace_back(std::string(key), yaml_text()).second;
}

bool yaml_text::has(std::string_view key) const {
  return std::ranges::any_of(members_, [&](const auto& member) { return member.first == key; });
}

void yaml_text::set(std::string_view key, const std::vector<std::string>& values) {
  yaml_text list;
  for (const std::string& value : values) list.add() = yaml_text(value);
  (*this)[key] = std::move(list);
}

yaml_text& yaml_text::add() {
  return items_.emplace_back();
}

void yaml_text::write(std::string& out, std::size_t indent) const {
  if (is_scalar_) {
    out += " " + scalar_text(scalar_) + "\n";
    return;
  }
  if (empty()) {
    out += " {}\n";
    return;
  }
  const bool only_words =
      !items_.empty() && std::ranges::all_of(items_, [](const yaml_text& item) { return item.is_scalar_; });
  if (only_words) {
    std::string words;
    for (const yaml_text& item : items_) words += (words.empty() ? "" : ", ") + scalar_text(item.scalar_);
    out += " [" + words + "]\n";
    return;
  }
  if (!out.empty() && out.back() != ' ') out += "\n";
  const std::string margin(indent, ' ');
  for (const yaml_text& item : items_) {
    std::string inner;
    item.write(inner, indent + 2);
    // The first member stands behind the dash.
    inner.erase(0, inner.find_first_not_of(" \n"));
    out += margin + "- " + inner;
  }
  for (const auto& [key, value] : members_) {
    out += margin + scalar_text(key) + ":";
    value.write(out, indent + 2);
  }
}

std::string yaml_text::text() const {
  std::string out;
  write(out, 0);
  out.erase(0, std::min(out.find_first_not_of('\n'), out.size()));
  return out;
}

}  // namespace tidegate::cli
