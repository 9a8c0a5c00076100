#pragma once
// A plan: one statement carried out as several steps that never hold a strong lock for long, to the same
// schema. Values only; planner.hpp makes them, proxy/session/planned_ddl.hpp carries them out, `tidegate
// plan` prints them.

#include "policies/engine.hpp"
#include "policies/plan/filling.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

enum class step_kind : std::uint8_t {
  brief,       // changes the catalog under a strong lock for a moment
  checking,    // reads every row under a lock that lets reads and writes go on (VALIDATE)
  concurrent,  // CONCURRENTLY: alone in its message, outside a transaction, waits for older snapshots
  filling,     // gives existing rows their value, in batches that are transactions of their own
};

std::string_view name(step_kind kind);

// An error of a step in the words of the statement that it stands for.
struct spoken_error {
  std::string sqlstate, message, detail;
  std::string column;
};

struct plan_step {
  step_kind kind = step_kind::brief;
  std::string sql;                   // one message and one transaction; of a filling what it comes to
  std::vector<relation_lock> locks;  // the strongest of each relation
  // A query of one boolean: the step has taken effect. For whoever goes on with an interrupted plan and
  // does not know whether its last step was committed. Empty: to be run again in doubt.
  std::string done;
  std::string undo;                     // takes the step back, as one brief step; empty: nothing to take back
  bool undo_concurrently = false;       // `undo` is DROP INDEX CONCURRENTLY
  std::optional<filling> fills;         // of a filling
  std::string index;                    // of a concurrent build: the index it leaves, not quoted
  std::optional<spoken_error> refused;  // what a violated check means here
};

struct plan {
  std::string relation;  // "schema.name", quoted where needed
  std::uint32_t relation_oid = 0;
  std::string tag;               // of the whole: "ALTER TABLE"
  std::vector<plan_step> steps;  // at least one
};

}  // namespace tidegate::policies
