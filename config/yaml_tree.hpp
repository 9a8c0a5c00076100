#pragma once
// A YAML document as a plain tree with positions. The only place that knows the YAML library. What a
// configuration does not need is refused, so that nothing small becomes big: anchors, aliases, tags, several
// documents.

#include "config/problem.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::config {

inline constexpr std::size_t max_config_bytes = 1 << 20;
inline constexpr std::size_t max_config_values = 20'000;

struct yaml_member;

struct yaml_node {
  enum class node_kind : std::uint8_t { null, scalar, sequence, mapping };

  node_kind kind = node_kind::null;
  file_position at;
  std::string scalar;
  std::vector<yaml_node> items;      // of a sequence
  std::vector<yaml_member> members;  // of a mapping, in the file's order
};

struct yaml_member {
  std::string key;
  file_position at;
  yaml_node value;
};

struct yaml_document {
  yaml_node root;  // null for an empty text; the keys of a mapping are unique
  std::vector<problem> problems;
  bool is_complete = false;  // read to its end; otherwise `root` is its beginning
};

// `text` is at most max_config_bytes.
yaml_document parse_yaml(std::string_view text);

}  // namespace tidegate::config
