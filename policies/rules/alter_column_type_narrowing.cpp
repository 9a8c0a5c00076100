// A narrower type: a value that does not fit ends the statement after it has read half the table, or is
// rounded for good.
#include "policies/altered_type.hpp"
#include "policies/remedy.hpp"

namespace tidegate::policies {

const rule& alter_column_type_narrowing_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    if (!altered.change.narrows) continue;
    const auto& table = altered.command.table;
    finding f = finding_on(alter_column_type_narrowing_rule(), altered.command);
    f.message = "changing " + altered.column_in_words() + " from " + altered.change.from + " to " +
                altered.change.to + " fails or loses data where a value does not fit";
    f.detail = detail_of(f.lock, table, "every row is written anew");
    auto steps = change_type_steps(altered.command);
    const std::string column = altered.command.column_sql();
    steps.insert(steps.begin(), "SELECT count(*) FROM " + table.sql + " WHERE " + column +
                                    " IS DISTINCT FROM " + column + "::" + altered.change.to +
                                    ";  -- must be 0");
    advise(f, std::move(steps));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& alter_column_type_narrowing_rule() {
  static constexpr rule r{"alter-column-type-narrowing", "a narrower type may lose data or fail half-way",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
