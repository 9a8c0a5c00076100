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
std::optional<step_kind> parse_step_kind(std::string_view word);

// The table locks of a text of several statements, the strongest of each relation. None where it can't be
// read.
std::vector<relation_lock> locks_of(std::string_view sql, const catalog_snapshot& catalog);

struct plan_step {
  step_kind kind = step_kind::brief;
  std::string sql;                   // one message and one transaction; of a filling what it comes to
  std::vector<relation_lock> locks;  // the strongest of each relation
  // A query of one boolean: the step has taken effect. For whoever goes on with an interrupted plan and
  // does not know whether its last step was committed. Empty: to be run again in doubt.
  std::string done;
  // Takes it back: statements, each a transaction of its own, VALIDATE checking and others brief; of a
  // concurrent step a concurrent one. Empty: nothing to do.
  std::string undo;
  std::optional<filling> fills;  // of a filling
  std::string not_null_column;   // of a check that stands for NOT NULL: its violation is that of this column
};

// One that steps name beside the plan's own. It must still have its name when they are run.
struct other_relation {
  std::string name;  // "schema.name", quoted where needed
  std::uint32_t oid = 0;
  bool changed = false;  // by a step, which needs the rights of its owner
};

struct plan {
  std::string relation;  // "schema.name", quoted where needed
  std::uint32_t relation_oid = 0;
  std::vector<other_relation> others;
  std::string tag;               // of the whole: "ALTER TABLE"
  std::vector<plan_step> steps;  // at least one
};

}  // namespace tidegate::policies
