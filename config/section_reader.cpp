#include "config/section_reader.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace tidegate::config {
namespace {

using node_kind = yaml_node::node_kind;

const yaml_node empty_node;

std::string join(std::span<const std::string_view> words) {
  std::string all;
  for (std::string_view word : words) all += (all.empty() ? "" : ", ") + std::string(word);
  return all;
}

}  // namespace

void reading::refuse(const std::string& path, std::string what, std::string instead) {
  std::string around = path;
  auto found = positions.find(around);
  while (found == positions.end() && !around.empty()) {
    const std::size_t cut = around.find_last_of(".[");
    around.resize(cut == std::string::npos ? 0 : cut);
    found = positions.find(around);
  }
  const file_position at = found == positions.end() ? file_position{1, 1} : found->second;
  problems.push_back({at, path.empty() ? std::move(what) : path + ": " + what, std::move(instead)});
}

section_reader::section_reader(const yaml_node& node, std::string path, std::string key_path, reading& into)
    : node_(node), path_(std::move(path)), key_path_(std::move(key_path)), into_(into) {
  if (node.kind != node_kind::mapping && node.kind != node_kind::null) {
    into_.refuse(path_, "needs a mapping", "write key: value lines, or {key: value}");
  }
}

std::string section_reader::quote(std::string_view text) {
  constexpr std::size_t longest = 60;
  return '"' + std::string(text.substr(0, longest)) + (text.size() > longest ? "…\"" : "\"");
}

std::string section_reader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::string section_reader::key_path_of(std::string_view key) const {
  const std::string_view shown = placeholder_.empty() ? key : std::string_view(placeholder_);
  return key_path_.empty() ? std::string(shown) : key_path_ + "." + std::string(shown);
}

void section_reader::refuse(std::string_view key, std::string what, std::string instead) {
  into_.refuse(path_of(key), std::move(what), std::move(instead));
}

const yaml_node* section_reader::find(std::string_view key) {
  if (std::ranges::find(asked_, key) == asked_.end()) asked_.emplace_back(key);
  into_.keys.insert(key_path_of(key));
  const auto member = std::ranges::find(node_.members, key, &yaml_member::key);
  if (member == node_.members.end()) return nullptr;
  // a scalar is pointed at where it stands, a collection at its key
  const bool is_value_short = member->value.kind == node_kind::scalar;
  into_.positions[path_of(key)] = is_value_short ? member->value.at : member->at;
  return &member->value;
}

const yaml_node* section_reader::descend(std::string_view key) {
  const yaml_node* node = find(key);
  return node == nullptr && into_.lists_keys ? &empty_node : node;
}

const yaml_node* section_reader::scalar(std::string_view key) {
  const yaml_node* node = find(key);
  if (node == nullptr || node->kind == node_kind::scalar) return node;
  refuse(key, "needs a single value");
  return nullptr;
}

void section_reader::text(std::string_view key, std::string& out) {
  if (const yaml_node* node = scalar(key)) out = node->scalar;
}

void section_reader::file(std::string_view key, std::string& out) {
  const yaml_node* node = scalar(key);
  if (node == nullptr) return;
  if (node->scalar.empty()) return refuse(key, "needs the name of a file");
  out = (std::filesystem::path(into_.folder) / node->scalar).lexically_normal().string();
}

void section_reader::boolean(std::string_view key, bool& out) {
  const yaml_node* node = scalar(key);
  if (node == nullptr) return;
  if (node->scalar != "true" && node->scalar != "false") {
    return refuse(key, quote(node->scalar) + " is neither true nor false", "write true or false");
  }
  out = node->scalar == "true";
}

std::optional<std::chrono::milliseconds> section_reader::duration_of(std::string_view key) {
  const yaml_node* node = scalar(key);
  if (node == nullptr) return std::nullopt;
  const auto value = parse_duration(node->scalar);
  if (!value) {
    refuse(key, quote(node->scalar) + " is no duration",
           "write a number with a unit: 50ms, 2s, 5min, 1h, 1d");
  }
  return value;
}

void section_reader::duration(std::string_view key, std::chrono::milliseconds& out) {
  if (const auto value = duration_of(key)) out = *value;
}

void section_reader::duration(std::string_view key, std::optional<std::chrono::milliseconds>& out) {
  const auto value = duration_of(key);
  if (!value) return;
  if (value->count() == 0) return refuse(key, "must be more than 0", "leave the key out for no bound");
  out = *value;
}

void section_reader::positive_duration(std::string_view key, std::chrono::milliseconds& out) {
  const auto value = duration_of(key);
  if (!value) return;
  if (value->count() == 0) return refuse(key, "must be more than 0", "write a bound, for example 1s");
  out = *value;
}

void section_reader::texts(std::string_view key, std::vector<std::string>& out) {
  const yaml_node* node = find(key);
  if (node == nullptr) return;
  if (node->kind == node_kind::scalar) {
    out = {node->scalar};
    return;
  }
  const bool is_list =
      node->kind == node_kind::sequence &&
      std::ranges::all_of(node->items, [](const yaml_node& i) { return i.kind == node_kind::scalar; });
  if (!is_list) return refuse(key, "needs a list of words", "write [one, two]");
  out.clear();
  for (const yaml_node& item : node->items) out.push_back(item.scalar);
}

std::optional<std::int64_t> section_reader::whole_number(std::string_view key, number_range range) {
  const yaml_node* node = scalar(key);
  if (node == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const char* end = node->scalar.data() + node->scalar.size();
  const auto [stopped, error] = std::from_chars(node->scalar.data(), end, value);
  if (error != std::errc() || stopped != end || value < range.lowest || value > range.highest) {
    refuse(key, quote(node->scalar) + " is no number from " + std::to_string(range.lowest) + " to " +
                    std::to_string(range.highest));
    return std::nullopt;
  }
  return value;
}

void section_reader::refuse_word(std::string_view key, std::string_view word,
                                 std::span<const std::string_view> known) {
  const std::string_view meant = nearest(word, known);
  constexpr std::size_t most_listed = 12;
  std::string instead;
  if (!meant.empty()) instead = "did you mean " + quote(meant) + "?";
  if (known.size() <= most_listed) instead += (instead.empty() ? "one of: " : " One of: ") + join(known);
  refuse(key, quote(word) + " is not known here", std::move(instead));
}

void section_reader::finish() {
  const std::vector<std::string_view> known(asked_.begin(), asked_.end());
  for (const yaml_member& member : node_.members) {
    if (std::ranges::find(asked_, member.key) != asked_.end()) continue;
    const std::string_view meant = nearest(member.key, known);
    into_.problems.push_back(
        {member.at, "unknown key " + quote(member.key) + (path_.empty() ? "" : " in " + path_),
         meant.empty() ? "known here: " + join(known) : "did you mean " + quote(meant) + "?"});
  }
}

}  // namespace tidegate::config
