// A type change that keeps the rows is instant, but every prepared statement that returns the column fails
// once with 0A000 ("cached plan must not change result type"), in every session, and the column's statistics
// are gone.
#include "policies/altered_type.hpp"
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& alter_column_type_cached_plan_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    if (altered.change.rewrites || !altered.change.visible) continue;  // a rewrite says more
    const auto& table = altered.command.table;
    finding f = finding_on(alter_column_type_cached_plan_rule(), altered.command);
    f.message = "changing " + altered.column_in_words() + " from " + altered.change.from + " to " +
                altered.change.to + " breaks prepared statements that return it";
    f.detail =
        lock_in_words(f.lock, table) +
        " for a moment; then each prepared statement that returns the column fails once with 0A000, inside "
        "a transaction that aborts it. The column's statistics are dropped: ANALYZE " +
        table.sql + " (" + altered.command.column_sql() + ") afterwards.";
    advise(f, change_type_steps(altered.command));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_cached_plan_rule() {
  static constexpr rule r{"alter-column-type-cached-plan", "a type change breaks prepared statements once",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
