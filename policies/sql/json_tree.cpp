#include "policies/sql/json_tree.hpp"

#include <charconv>
#include <stdexcept>

namespace tidegate::sql {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

[[noreturn]] void not_json() {
  throw std::runtime_error("the parser's tree can't be read");
}

unsigned hex4(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc{} && end == digits.data() + 4 ? value : unsigned{'?'};
}

}  // namespace

json_tree::json_tree(std::string_view json) : json_(json) {
  struct open_container {
    std::uint32_t index;
    std::uint32_t last_child = none;
  };
  std::vector<open_container> open;
  std::size_t at = 0;
  node pending;  // a member's name waits here for its value

  const auto skip_spaces = [&] {
    while (at < json.size() && is_space(json[at])) ++at;
  };
  // Behind the opening quote: the end of the string (the closing quote).
  const auto string_end = [&](bool& escaped) {
    std::size_t end = at;
    while (end < json.size() && json[end] != '"') {
      if (json[end] == '\\') {
        escaped = true;
        ++end;
      }
      ++end;
    }
    if (end >= json.size()) not_json();
    return end;
  };
  const auto add = [&](node value) {
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    if (!open.empty()) {
      open_container& parent = open.back();
      (parent.last_child == none ? nodes_[parent.index].first_child : nodes_[parent.last_child].next) = index;
      parent.last_child = index;
    }
    nodes_.push_back(value);
    pending = {};
    return index;
  };

  do {
    skip_spaces();
    if (at >= json.size()) not_json();
    const char c = json[at];
    if (c == ',') {
      ++at;
      continue;
    }
    if (c == '}' || c == ']') {
      if (open.empty()) not_json();
      open.pop_back();
      ++at;
      continue;
    }
    const bool in_object = !open.empty() && nodes_[open.back().index].kind == value_kind::object;
    if (in_object && pending.key_size == 0) {
      if (c != '"') not_json();
      ++at;
      bool escaped = false;
      const std::size_t end = string_end(escaped);
      pending.key_begin = static_cast<std::uint32_t>(at);
      pending.key_size = static_cast<std::uint16_t>(end - at);
      at = end + 1;
      skip_spaces();
      if (at >= json.size() || json[at] != ':' || pending.key_size == 0) not_json();
      ++at;
      continue;
    }
    node value = pending;
    if (c == '{' || c == '[') {
      value.kind = c == '{' ? value_kind::object : value_kind::array;
      ++at;
      open.push_back({add(value)});
      continue;
    }
    if (c == '"') {
      ++at;
      const std::size_t end = string_end(value.escaped);
      value.kind = value_kind::string;
      value.begin = static_cast<std::uint32_t>(at);
      value.size = static_cast<std::uint32_t>(end - at);
      at = end + 1;
    } else {
      value.begin = static_cast<std::uint32_t>(at);
      while (at < json.size() && json[at] != ',' && json[at] != '}' && json[at] != ']' && !is_space(json[at]))
        ++at;
      value.size = static_cast<std::uint32_t>(at - value.begin);
      if (value.size == 0) not_json();
    }
    add(value);
  } while (!open.empty());
  if (nodes_.empty()) not_json();
}

tree_node json_tree::root() const {
  return {this, 0};
}

std::string_view tree_node::key() const {
  if (tree_ == nullptr) return {};
  return tree_->json_.substr(data().key_begin, data().key_size);
}

tree_node tree_node::operator[](std::string_view name) const {
  for (const tree_node child : *this) {
    if (child.key() == name) return child;
  }
  return {};
}

tree_node tree_node::first() const {
  return tree_ == nullptr ? tree_node{} : at(data().first_child);
}
tree_node tree_node::next() const {
  return tree_ == nullptr ? tree_node{} : at(data().next);
}

std::size_t tree_node::size() const {
  std::size_t count = 0;
  for (tree_node child = first(); child; child = child.next()) ++count;
  return count;
}

tree_node tree_node::as(std::string_view type_name) const {
  const tree_node inside = first();
  return inside.key() == type_name ? inside : tree_node{};
}

std::string tree_node::string() const {
  if (tree_ == nullptr) return {};
  const std::string_view raw = tree_->json_.substr(data().begin, data().size);
  if (!data().escaped) return std::string(raw);
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      text += raw[i];
      continue;
    }
    switch (const char c = raw[++i]) {
      case 'b':
        text += '\b';
        break;
      case 'f':
        text += '\f';
        break;
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case 'u':
        // The printer escapes single bytes below 0x80 only.
        text += static_cast<char>(hex4(raw.substr(i + 1, 4)) & 0x7f);
        i += 4;
        break;
      default:
        text += c;
    }
  }
  return text;
}

std::int64_t tree_node::integer(std::int64_t otherwise) const {
  if (tree_ == nullptr) return otherwise;
  const std::string_view raw = tree_->json_.substr(data().begin, data().size);
  std::int64_t value = otherwise;
  std::from_chars(raw.data(), raw.data() + raw.size(), value);
  return value;
}

bool tree_node::boolean() const {
  return tree_ != nullptr && tree_->json_.substr(data().begin, data().size) == "true";
}

}  // namespace tidegate::sql
