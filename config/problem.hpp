#pragma once
// What is wrong in a configuration file, and what would be right.

#include <string>
#include <string_view>

namespace tidegate::config {

// Both count from 1; 0: the file as a whole.
struct file_position {
  int line = 0;
  int column = 0;
};

struct problem {
  file_position at;
  std::string what;     // "unknown key "adress" in listen[0]"
  std::string instead;  // "did you mean "address"?"; may be empty
};

// "file:line:column: what is wrong; what would be right", as compilers write it.
std::string to_text(std::string_view file, const problem& p);

}  // namespace tidegate::config
