#pragma once
// Values of settings as the server reads them, and what a statement sets. Pure.

#include "policies/sql/statement.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

// A time with an optional unit, rounded as the server does, so that 0.4ms is 0 too. None: it is no time.
std::optional<double> milliseconds_of(std::string_view value);

// A switch by any of its spellings (on, true, yes, 1 and what is short for them). None: it is no switch.
std::optional<bool> switch_of(std::string_view value);

struct setting_change {
  std::string name;                  // lower case
  std::optional<std::string> value;  // none: a default, or computed
};

// What SET, set_config(), ALTER ROLE | DATABASE … SET and ALTER SYSTEM set; names that are computed are left
// out.
std::vector<setting_change> setting_changes(const sql::statement& statement);

}  // namespace tidegate::policies
