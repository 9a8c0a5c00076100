#pragma once
// From a YAML file to settings. All problems of a file are found at once, each with its line and column. Used
// at the start, on reload and by `check` and `doctor`; reads the files that the settings name, otherwise
// pure.

#include "config/problem.hpp"
#include "config/settings.hpp"

#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::config {

struct load_options {
  std::span<const std::string_view> rule_ids;  // of all rules: any other in `policies` is a mistake
  std::size_t parse_limit_bytes = 0;           // the parser's own; limits.parse_bytes defaults to it
  bool reads_files =
      true;  // false: certificates, passwords and users are not looked at (`check` in CI has none)
};

// The options with the rules and the limit that this program has.
load_options default_load_options();

struct load_result {
  std::shared_ptr<const settings> value;  // null when there are problems
  std::vector<problem> problems;          // in the file's order
};

load_result load_file(const std::string& file, const load_options& options);

// `text` as the content of a file in `folder`.
load_result load_text(std::string_view text, const std::string& folder, const load_options& options);

// Every key there is, as a path: "listen[].tls.mode", "databases.<name>.pool.size". For tests of the
// documentation.
std::set<std::string> known_keys();

}  // namespace tidegate::config
