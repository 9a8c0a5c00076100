#pragma once
// A rule looks at one statement with the facts of the database and of the session, and says what it finds.
// Rules are pure; each is one file in policies/rules (CONTRIBUTING.md, "A rule").

#include "policies/catalog.hpp"
#include "policies/finding.hpp"
#include "policies/sql/statement.hpp"
#include "policies/transaction_history.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

// Which exemptions and defaults apply (hazards.md, "Default verdicts").
enum class hazard {
  instant,      // a strong lock for a moment: allowed and guarded
  online_way,   // scans, rewrites or builds under a strong lock, several safe steps exist
  index_build,  // the same with CONCURRENTLY
  both_shapes,  // old and new applications need different shapes at once
  data_loss,    // loses data, or breaks everyone at once
  no_way,       // no online way exists
  will_fail,    // the server would refuse it anyway
  advice,       // rights, style, subscribers, session and transaction shape
};

struct session_facts {
  std::string role;
  std::string application;
  std::string database;
  bool in_transaction = false;  // an open transaction block
  bool alone_in_message =
      true;  // the only statement of its simple query, or nothing unsynced before it in the pipeline
  bool guarded = true;  // the gateway bounds the lock wait itself; false in `check`
  bool at_end = false;  // `check`: behind the last statement of a file, which is no statement
  std::optional<std::string> lock_timeout;  // the session's own setting, as SHOW prints it, when known
};

struct rule_input {
  const sql::statement& statement;
  std::string_view text;  // the whole query string
  const catalog_snapshot& catalog;
  const session_facts& session;
  const transaction_history& history;  // what this transaction did before
  // The statement's own text with its comments (override_comment.hpp); null: to be found in `text`.
  std::string_view commented = {};
};

using findings = std::vector<finding>;

struct rule {
  std::string_view id;
  std::string_view summary;  // one line for docs/rules.md and SHOW RULES
  hazard kind;
  verdict default_action;
  void (*check)(const rule_input& input, findings& out);
};

}  // namespace tidegate::policies
