#pragma once
// Writes YAML that the configuration's loader reads. Pure.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::cli {

// A value, a list, or a mapping in the order in which it was filled.
class yaml_text {
 public:
  yaml_text() = default;
  explicit yaml_text(std::string scalar) : scalar_(std::move(scalar)), is_scalar_(true) {}

  // The member of that name, made when it is not there.
  yaml_text& operator[](std::string_view key);
  void set(std::string_view key, std::string value) { (*this)[key] = yaml_text(std::move(value)); }
  void set(std::string_view key, const std::vector<std::string>& values);
  yaml_text& add();  // an item of a list
  bool has(std::string_view key) const;
  bool empty() const { return !is_scalar_ && members_.empty() && items_.empty(); }

  std::string text() const;

 private:
  void write(std::string& out, std::size_t indent) const;

  std::string scalar_;
  bool is_scalar_ = false;
  std::vector<std::pair<std::string, yaml_text>> members_;
  std::vector<yaml_text> items_;
};

}  // namespace tidegate::cli
