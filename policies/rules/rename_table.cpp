// RENAME TO of a table or view is instant, and every statement that uses the old name fails with 42P01. ALTER
// INDEX … RENAME reaches tables too (hazards §0.19). A view of the old name in the same transaction keeps old
// code working.
#include "policies/sql/parse.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& rename_table_rule();

namespace {

using sql::object_kind;

// A later statement of the text, before the transaction ends, makes a view of the old name.
bool view_follows(const rule_input& input, const sql::rename& rename) {
  const auto script = sql::parse(input.text);
  for (const auto& statement : script.statements) {
    if (statement.range.begin <= input.statement.range.begin) continue;
    if (const auto* transaction = statement.as<sql::transaction>())
      if (transaction->action == sql::transaction_action::commit ||
          transaction->action == sql::transaction_action::rollback)
        return false;
    const auto* view = statement.as<sql::create_view>();
    if (view && !view->temporary && view->relation.name == rename.relation.name &&
        (view->relation.schema == rename.relation.schema || view->relation.schema.empty()))
      return true;
  }
  return false;
}

bool names_a_relation(const sql::rename& rename) {
  return rename.kind == object_kind::table || rename.kind == object_kind::view ||
         rename.kind == object_kind::materialized_view || rename.kind == object_kind::foreign_table ||
         rename.kind == object_kind::index;
}

void check(const rule_input& input, findings& out) {
  const auto* rename = input.statement.as<sql::rename>();
  if (!rename || !names_a_relation(*rename)) return;
  const subject table = subject_of(input, rename->relation);
  if (table.certainly_missing || table.is('i') || table.is('I') || table.is('S') || table.is('c')) return;
  if (!table.alone && view_follows(input, *rename)) return;
  finding f = finding_on(rename_table_rule(), table);
  const std::string to = sql::quote_identifier(rename->to);
  f.message = "renaming " + table.sql + " to " + to + " breaks running code at once";
  f.detail =
      lock_in_words(f.lock, table) +
      " for a moment; then statements with the old name fail with 42P01. Function bodies do not follow; "
      "foreign keys, sequences and views do.";
  if (rename->kind == object_kind::index)
    f.lacked_fact = table.facts ? "" : "whether " + table.sql + " is an index";
  sql::qualified_name renamed = *table.written;
  renamed.name = rename->to;
  const bool is_view = rename->kind == object_kind::view || table.is('v');
  advise(f, {"BEGIN; ALTER " + std::string(is_view ? "VIEW " : "TABLE ") + table.sql + " RENAME TO " + to +
                 "; CREATE VIEW " + table.sql + " AS SELECT * FROM " + sql::quote_name(renamed) + "; COMMIT;",
             "DROP VIEW " + table.sql + ";  -- later, when every application uses " + to});
  out.push_back(std::move(f));
}

}  // namespace

const rule& rename_table_rule() {
  static constexpr rule r{"rename-table", "a renamed table or view breaks running code at once",
                          hazard::both_shapes, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
