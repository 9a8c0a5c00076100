#pragma once
// From a statement to what happens to it: runs every rule, applies exemptions (new, temporary and small
// relations), the policy and overrides, and says which relations get which lock. Pure; one call per statement
// at the moment it is about to run.

#include "policies/rule.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::policies {

enum class policy_mode { enforce, observe, off };
// What happens to a statement that has a plan: its client waits while it is carried out, is answered at once
// while the gateway goes on by itself (`defer`: so inside a transaction, once it is committed; outside the
// client waits), is told the steps, or runs it as it stands.
enum class ddl_mode { wait, async, defer, plan, off };

struct rule_action {
  std::string rule;
  verdict action = verdict::block;
};

// One scope of a policy; empty lists match everything. The last scope that names a rule and matches wins.
struct policy_scope {
  std::vector<std::string> databases, roles, applications;
  std::vector<std::string> tables;  // globs over "schema.name" (* and ?)
  std::optional<std::int64_t> min_bytes, max_bytes;
  std::optional<policy_mode> mode;
  std::optional<policies::ddl_mode> ddl_mode;
  std::vector<rule_action> rules;
};

struct policy {
  policy_mode mode = policy_mode::enforce;
  policies::ddl_mode ddl_mode = policies::ddl_mode::wait;
  verdict on_unparsable = verdict::block;  // allow | block
  std::int64_t small_table_rows = 1000;    // below both a relation is no hazard
  std::int64_t small_table_bytes = 8 << 20;
  bool trust_sizes = true;                  // false in `check`: smallness is no safety
  std::vector<policy_scope> scopes;         // the file's `rules` first, then its overrides in order
  std::vector<std::string> override_roles;  // whose override comments count
};

struct relation_lock {
  sql::qualified_name
      relation;  // as written, or resolved (schema and name) for relations the statement does not name
  lock_level level = lock_level::none;
};

// Table locks a statement takes on relations that exist already: its own, foreign-key partners, partitions,
// parents. Without facts only what the text shows.
std::vector<relation_lock> locks_taken(const sql::statement& statement, const catalog_snapshot& catalog);

struct override_comment {
  std::vector<std::string> rules;  // "*" is not accepted
  std::string reason;
};
// The override comment of a statement: /* tidegate:allow=rule-a,rule-b reason="…" */ inside its text. None:
// not there.
std::optional<override_comment> find_override(std::string_view statement_text);
// sqlcommenter tags (key='value',…) of the comments of a statement, for the audit log.
std::vector<std::pair<std::string, std::string>> comment_tags(std::string_view statement_text);

struct decision {
  verdict action = verdict::allow;
  policy_mode mode = policy_mode::enforce;                 // observe: action says what would have happened
  policies::ddl_mode ddl_mode = policies::ddl_mode::wait;  // unless the session has set another
  findings reported;    // after exemptions, hardest first; actions filled in
  findings overridden;  // allowed by an override comment
  std::string override_reason;
  std::vector<relation_lock> locks;  // what a guard must wait for
  bool guarded = false;              // takes a strong lock on a relation others may use
};

decision decide(const rule_input& input, const policy& policy);

// The texts of a refusal: message, detail, hint with the override and the page. Used by ErrorResponse and by
// `check`.
struct refusal {
  std::string sqlstate, message, detail, hint;
  const finding* first = nullptr;  // for position and names; points into the decision
};
refusal explain_refusal(const decision& decision);
// The lines of NOTICEs for findings that only warn.
std::vector<refusal> explain_warnings(const decision& decision);

}  // namespace tidegate::policies
