#pragma once
// `tidegate guard install|remove|status`: the server guard of one database (docs/guard.md), over a direct
// connection.

#include "proxy/control/guard_setup.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace tidegate::cli {

enum class guard_action : std::uint8_t { install, remove, status };

struct guard_command_options {
  std::string database;  // URI
  // Of install; of an installed guard, what is not given stays as it is, and an empty name empties a list.
  std::vector<std::string> allowed_roles, control_roles;
  std::string mode;  // enforce | observe
};

// Exit codes: 0 done, or in force and as it was made; 1 (status) it is not; 2 the options can't be used; 3
// the server did not let it happen.
int run_guard(guard_action action, const guard_command_options& options, std::ostream& out,
              std::ostream& err);

// What `status` says.
std::string describe(const control::guard_examination& guard);

}  // namespace tidegate::cli
