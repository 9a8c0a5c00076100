#pragma once
// From what stands on the command line of `check` to the texts it judges: folders are read by the convention
// of their tool. Reads files; knows no SQL.

#include "proxy/cli/migrations/file_names.hpp"
#include "proxy/cli/migrations/layout.hpp"

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli::migrations {

// A larger file is not read: what is judged is kept in memory, twice.
inline constexpr std::size_t file_limit_bytes = 256U << 20U;

struct wanted_files {
  std::vector<std::string> paths;  // files, folders; "-" is standard input
  std::optional<layout> forced;    // none: each folder and file tells
  direction runs = direction::up;
  // Of all these only the ones that this list names, as `git diff --name-only` prints it: one path a line.
  std::optional<std::string> only;
};

struct migration_file {
  std::string path;  // as it can be opened from here
  std::string text;  // UTF-8 without byte-order mark
  layout tool = layout::sql;
  file_role role = file_role::up;
  std::optional<bool> executes_in_transaction;  // of Flyway's V1__name.sql.conf
};

struct found_files {
  std::vector<migration_file> files;  // of a folder in the order in which its tool runs them
  std::vector<std::string> remarks;   // files that are not judged, and why
  std::vector<std::string> problems;  // what could not be read, and why; the files are then not all
};

found_files find_files(const wanted_files& wanted, std::istream& in);

// Why the text of a file can't be judged, with its line: not UTF-8, a zero byte. None: it can.
std::optional<std::string> unfit_text(std::string_view text);

}  // namespace tidegate::cli::migrations
