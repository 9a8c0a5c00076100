#pragma once
// A migration as its tool sends it: which parts of the text are messages, and which run in a transaction that
// the tool opens. `check` judges by it. Pure.

#include "proxy/cli/migrations/file_names.hpp"
#include "proxy/cli/migrations/layout.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli::migrations {

enum class sending {
  as_psql,         // statements on lines of their own are messages; those that share a line may be one
  by_statement,    // each statement is a message
  as_one_message,  // a part is a message; several statements in it are one implicit transaction
};

struct text_range {
  std::size_t begin = 0, end = 0;
};

// What runs in one transaction of the tool's, or in none.
struct section {
  direction runs = direction::up;
  bool in_transaction = false;
  sending how = sending::as_psql;
  std::vector<text_range> parts;  // in their order; what is between them is not sent
  // Why its statements share a transaction, and how not; empty: the text alone says so.
  std::string_view why = {};
};

struct migration {
  std::vector<section> sections;
  // The tool would refuse the file: where and why. The sections hold what could be understood.
  struct fault {
    std::size_t at = 0;
    std::string what;
  };
  std::optional<fault> refused;
};

// The text without byte-order mark, of a file that has the role for the tool. `executes_in_transaction` is
// what Flyway's configuration of the script says.
migration divide(std::string_view text, layout tool, file_role role,
                 std::optional<bool> executes_in_transaction = {});

// From the text of V1__name.sql.conf: executeInTransaction; none: it does not say.
std::optional<bool> read_script_configuration(std::string_view text);

}  // namespace tidegate::cli::migrations
