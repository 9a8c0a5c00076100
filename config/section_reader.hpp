#pragma once
// Reads one mapping of the tree key by key. What is asked for is known; finish() complains about the rest.
// Nothing throws: what is wrong is noted with its position and the value stays as it was, so that all
// problems of a file are found at once.

#include "config/nearest.hpp"
#include "config/problem.hpp"
#include "config/quantity.hpp"
#include "config/words.hpp"
#include "config/yaml_tree.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::config {

// What the readers of one file share.
struct reading {
  std::string folder;                              // of the file: relative paths begin here
  std::vector<problem> problems;                   // in the order they were found
  std::map<std::string, file_position> positions;  // of everything read, by path: "listen[0].tls.mode"
  std::set<std::string> keys;                      // every key asked for: "listen[].tls.mode"
  bool lists_keys = false;                         // walk into what the file does not have, to fill `keys`

  // Notes a problem where `path` is in the file, or else the nearest thing around it.
  void refuse(const std::string& path, std::string what, std::string instead = {});
};

struct number_range {
  std::int64_t lowest = 0;
  std::int64_t highest = std::numeric_limits<std::int32_t>::max();
};

class section_reader {
 public:
  // `node` is a mapping or null (which counts as an empty one). `path` as in reading::positions, `key_path`
  // as in reading::keys. Everything referred to outlives the reader.
  section_reader(const yaml_node& node, std::string path, std::string key_path, reading& into);
  explicit section_reader(const yaml_node& node, reading& into) : section_reader(node, {}, {}, into) {}

  const std::string& path() const { return path_; }
  // The path of a key below this section.
  std::string path_of(std::string_view key) const;
  // The value of a key, which is known from now on; null when the file does not have it.
  const yaml_node* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }
  void refuse(std::string_view key, std::string what, std::string instead = {});

  // Each sets `out` when the key is there and right.
  void text(std::string_view key, std::string& out);
  void file(std::string_view key, std::string& out);  // a path; relative to the folder of the configuration
  void boolean(std::string_view key, bool& out);
  void duration(std::string_view key, std::chrono::milliseconds& out);           // 0: no limit
  void positive_duration(std::string_view key, std::chrono::milliseconds& out);  // 0 is refused
  void duration(std::string_view key, std::optional<std::chrono::milliseconds>& out);
  void texts(std::string_view key, std::vector<std::string>& out);  // a word or a list of words

  template <typename Number>
  void size(std::string_view key, Number& out, std::string_view kind = "size") {
    if (const yaml_node* node = scalar(key)) {
      const auto value = parse_size(node->scalar);
      if (value) {
        out = static_cast<Number>(*value);
      } else {
        refuse(key, quote(node->scalar) + " is no " + std::string(kind),
               "write bytes with a unit: 512kB, 8MiB, 1GiB");
      }
    }
  }

  template <typename Number>
  void number(std::string_view key, Number& out, number_range range = {}) {
    if (const auto value = whole_number(key, range)) out = static_cast<Number>(*value);
  }

  template <typename Enum>
  void word(std::string_view key, Enum& out) {
    if (const yaml_node* node = scalar(key)) {
      if (const auto value = parse_word<Enum>(node->scalar)) {
        out = *value;
      } else {
        refuse_word(key, node->scalar, words_of<Enum>);
      }
    }
  }
  void refuse_word(std::string_view key, std::string_view word, std::span<const std::string_view> known);

  // Calls `read(section_reader&)` on the mapping under the key and then finish().
  template <typename Read>
  void section(std::string_view key, Read read) {
    if (const yaml_node* node = descend(key)) {
      read_section(*node, path_of(key), key_path_of(key), read);
    }
  }

  // Calls `read(section_reader&)` on each mapping of the list under the key.
  template <typename Read>
  void sections(std::string_view key, Read read) {
    const yaml_node* node = descend(key);
    if (node == nullptr) return;
    if (into_.lists_keys) return read_section(*node, path_of(key) + "[0]", key_path_of(key) + "[]", read);
    if (node->kind != yaml_node::node_kind::sequence) {
      return refuse(key, "needs a list", "write - before each entry, or [{…}, {…}]");
    }
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      const std::string item_path = path_of(key) + "[" + std::to_string(i) + "]";
      into_.positions[item_path] = node->items[i].at;
      read_section(node->items[i], item_path, key_path_of(key) + "[]", read);
    }
  }

  // Calls `read(name, key, parent)` for each member of the mapping under the key: members have names of the
  // user's. `parent` reads the mapping, in which every name is known; `placeholder` stands for a name in the
  // list of keys.
  template <typename Read>
  void named(std::string_view key, std::string_view placeholder, Read read) {
    const yaml_node* node = descend(key);
    if (node == nullptr) return;
    section_reader mapping(*node, path_of(key), key_path_of(key), into_);
    mapping.placeholder_ = placeholder;
    if (into_.lists_keys) return read(std::string(placeholder), mapping);
    for (const yaml_member& member : node->members) read(member.key, mapping);
  }

  // Complains about keys that nobody asked for.
  void finish();

 private:
  template <typename Read>
  void read_section(const yaml_node& node, std::string path, std::string key_path, Read& read) {
    section_reader reader(node, std::move(path), std::move(key_path), into_);
    read(reader);
    reader.finish();
  }

  static std::string quote(std::string_view text);
  std::string key_path_of(std::string_view key) const;
  const yaml_node* descend(
      std::string_view key);  // as find(); an empty mapping instead of null when keys are listed
  const yaml_node* scalar(std::string_view key);  // the value, if it is one; otherwise complains
  std::optional<std::int64_t> whole_number(std::string_view key, number_range range);
  std::optional<std::chrono::milliseconds> duration_of(std::string_view key);

  const yaml_node& node_;
  std::string path_, key_path_, placeholder_;
  reading& into_;
  std::vector<std::string> asked_;
};

}  // namespace tidegate::config
