#pragma once
// What the commands that judge statements share: `check` and `plan`.

#include "policies/engine.hpp"

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::cli {

// Exit codes (docs/index.md).
enum exit_code { nothing_to_say = 0, objections = 1, bad_usage = 2, failed = 3 };

// "15" -> 150000, "14.2" -> 140002, "150004" as it is; 12 or later. None: it is no version, and `err` was
// told.
std::optional<int> read_server_version(std::string_view command, const std::string& text, std::ostream& err);

// The policy of a configuration file; without a file the default one. None: `err` was told what is wrong.
std::optional<policies::policy> read_policy(const std::string& file, std::ostream& err);

// Runs `answer` on a stack deep enough for the parser; what it throws is told, and becomes an exit code:
// std::invalid_argument is a bad connection string.
int answer_on_parse_stack(std::string_view command, const std::function<int()>& answer, std::ostream& err);

}  // namespace tidegate::cli
