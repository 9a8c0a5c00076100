// A DELETE of every row loses them all, in one transaction that locks each.
#include "policies/whole_table_change.hpp"

namespace tidegate::policies {

const rule& delete_without_where_rule();

namespace {

void check(const rule_input& input, findings& out) {
  report_whole_changes(input, delete_without_where_rule(), sql::dml_kind::delete_, out);
}

}  // namespace

const rule& delete_without_where_rule() {
  static constexpr rule r{"delete-without-where", "a DELETE without WHERE loses every row", hazard::data_loss,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
