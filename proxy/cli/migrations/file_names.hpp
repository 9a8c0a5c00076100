#pragma once
// What tools read from the names of files: which of a folder's files they run, in which direction and order.
// Paths are relative to the folder, with "/". Pure.

#include "proxy/cli/migrations/layout.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli::migrations {

enum class file_role { up, down, by_sections };  // by_sections: marks in its text divide it

// None: the tool does not run a file of that name.
std::optional<file_role> role_of(layout tool, std::string_view path);

struct chosen_file {
  std::string path;
  file_role role = file_role::up;
};
struct choice {
  std::vector<chosen_file> files;   // that may run in the direction, in the order in which they run
  std::vector<std::string> strays;  // SQL files that the tool runs in no direction
};
// `list` is drizzle's meta/_journal.json or sqitch.plan, which name the files and their order; empty for the
// other tools. A file that it names is chosen whether or not it is among the paths.
choice choose(layout tool, std::vector<std::string> paths, direction runs, std::string_view list = {});

// Numbers in names count as numbers: "9_a" is before "10_a".
bool is_naturally_before(std::string_view a, std::string_view b);

}  // namespace tidegate::cli::migrations
