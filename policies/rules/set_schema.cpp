// SET SCHEMA is instant, and every statement that reaches the relation by its old schema fails with 42P01.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& set_schema_rule();

namespace {

using sql::object_kind;

void check(const rule_input& input, findings& out) {
  const auto* move = input.statement.as<sql::set_schema>();
  if (!move || (move->kind != object_kind::table && move->kind != object_kind::view &&
                move->kind != object_kind::materialized_view && move->kind != object_kind::foreign_table))
    return;
  const subject table = subject_of(input, move->object);
  if (table.certainly_missing || (table.facts && table.facts->schema == move->to)) return;
  finding f = finding_on(set_schema_rule(), table);
  const std::string to = sql::quote_identifier(move->to);
  f.message = "moving " + table.sql + " to schema " + to + " breaks running code at once";
  f.detail =
      lock_in_words(f.lock, table) + " for a moment; then statements with the old name fail with 42P01.";
  const std::string moved = sql::quote_name({"", move->to, move->object.name, -1});
  advise(f,
         {"BEGIN; " + std::string(table.is('v') ? "ALTER VIEW " : "ALTER TABLE ") + table.sql +
              " SET SCHEMA " + to + "; CREATE VIEW " + table.sql + " AS SELECT * FROM " + moved + "; COMMIT;",
          "DROP VIEW " + table.sql + ";  -- later, when every application uses " + moved});
  out.push_back(std::move(f));
}

}  // namespace

const rule& set_schema_rule() {
  static constexpr rule r{"set-schema", "a table moved to another schema breaks running code at once",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
