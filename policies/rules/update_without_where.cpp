// An UPDATE of every row in one transaction locks all of them and doubles the table (hazards.md: WAL of 4.6
// times its size).
#include "policies/whole_table_change.hpp"

namespace tidegate::policies {

const rule& update_without_where_rule();

namespace {

void check(const rule_input& input, findings& out) {
  report_whole_changes(input, update_without_where_rule(), sql::dml_kind::update, out);
}

}  // namespace

const rule& update_without_where_rule() {
  static constexpr rule r{"update-without-where", "an UPDATE without WHERE locks and rewrites every row",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
