#pragma once
// The parse tree as libpg_query prints it (JSON), read into one flat array: no recursion to build, to walk or
// to free it, whatever the nesting. Nodes refer to the JSON text, which must outlive the tree. Internal to
// policies/sql.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::sql {

class tree_node;

class json_tree {
 public:
  // Throws std::runtime_error on text that is not JSON.
  explicit json_tree(std::string_view json);

  tree_node root() const;

 private:
  friend class tree_node;

  enum class value_kind : std::uint8_t { object, array, string, scalar };
  static constexpr std::uint32_t none = 0;  // the root is nobody's child and nobody's sibling

  struct node {
    std::uint32_t begin = 0;  // of the value in the JSON text: behind the quote for strings
    std::uint32_t size = 0;
    std::uint32_t key_begin = 0;
    std::uint32_t next = none;
    std::uint32_t first_child = none;
    std::uint16_t key_size = 0;
    value_kind kind = value_kind::scalar;
    bool escaped = false;
  };

  std::string_view json_;
  std::vector<node> nodes_;
};

// A place in the tree; cheap to copy. The absent node answers every question with nothing, so that paths can
// be written without tests in between.
class tree_node {
 public:
  tree_node() = default;

  explicit operator bool() const { return tree_ != nullptr; }
  bool is_object() const { return tree_ != nullptr && data().kind == json_tree::value_kind::object; }
  bool is_array() const { return tree_ != nullptr && data().kind == json_tree::value_kind::array; }

  std::string_view key() const;                       // the member's name; "" in arrays
  tree_node operator[](std::string_view name) const;  // the member, or the absent node
  tree_node first() const;                            // the first member or element
  tree_node next() const;                             // the one behind this in its parent
  std::size_t size() const;

  // {"SelectStmt": {…}} is a node of a type: its name, and what is inside.
  std::string_view type() const { return first().key(); }
  tree_node as(std::string_view type_name) const;  // the inside, when it is of that type

  std::string string() const;  // "" when absent
  std::int64_t integer(std::int64_t otherwise = 0) const;
  bool boolean() const;

  class iterator;
  iterator begin() const;
  iterator end() const;

 private:
  friend class json_tree;
  tree_node(const json_tree* tree, std::uint32_t index) : tree_(tree), index_(index) {}
  const json_tree::node& data() const { return tree_->nodes_[index_]; }
  tree_node at(std::uint32_t index) const {
    return index == json_tree::none ? tree_node{} : tree_node{tree_, index};
  }

  const json_tree* tree_ = nullptr;
  std::uint32_t index_ = 0;
};

class tree_node::iterator {
 public:
  tree_node operator*() const;
  iterator& operator++();
  bool operator!=(const iterator& other) const;

 private:
  friend class tree_node;
  iterator(const json_tree* tree, std::uint32_t index) : tree_(tree), index_(index) {}
  const json_tree* tree_;
  std::uint32_t index_;
};

inline tree_node::iterator tree_node::begin() const {
  return {tree_, tree_ == nullptr ? json_tree::none : data().first_child};
}
inline tree_node::iterator tree_node::end() const {
  return {tree_, json_tree::none};
}
inline tree_node tree_node::iterator::operator*() const {
  return {tree_, index_};
}
inline tree_node::iterator& tree_node::iterator::operator++() {
  index_ = tree_->nodes_[index_].next;
  return *this;
}
inline bool tree_node::iterator::operator!=(const iterator& other) const {
  return index_ != other.index_;
}

}  // namespace tidegate::sql
