// ADD CHECK reads every row under ACCESS EXCLUSIVE. NOT VALID adds it at once for new rows, and VALIDATE
// checks the old ones while reads and writes go on.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& add_check_validating_rule();

namespace {

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::check)) {
    if (!added.validates()) continue;
    finding f = finding_on(add_check_validating_rule(), added);
    f.message = "adding check constraint " + sql::quote_identifier(added.name) + " scans " + added.table.sql;
    f.detail = detail_of(f.lock, added.table, "every row is checked");
    advise(f, validate_later_steps(added, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_check_validating_rule() {
  static constexpr rule r{"add-check-validating",
                          "a CHECK constraint that is checked at once scans the table", hazard::online_way,
                          verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
