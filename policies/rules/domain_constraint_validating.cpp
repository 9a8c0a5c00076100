// A constraint of a domain is checked in every table that uses it, under SHARE on all of them. Unlike a
// table's, VALIDATE of a domain's constraint blocks writes as well: from 12 to 18, also when the constraint
// is valid already (hazards §0.17).
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& domain_constraint_validating_rule();

namespace {

using sql::alter_domain_action;

bool scans(const sql::alter_domain& statement) {
  switch (statement.action) {
    case alter_domain_action::set_not_null:
    case alter_domain_action::validate_constraint:
      return true;
    case alter_domain_action::add_constraint:
      return !statement.constraint || !statement.constraint->not_valid;
    default:
      return false;
  }
}

// `table`: "schema.name" of one that uses the domain.
std::vector<std::string> steps_for(const rule_input& input, const sql::alter_domain& statement,
                                   const std::string& table) {
  const std::string alter = "ALTER DOMAIN " + sql::quote_name(statement.domain) + " ";
  switch (statement.action) {
    case alter_domain_action::set_not_null:
      return {alter + "ADD CHECK (VALUE IS NOT NULL) NOT VALID;  -- holds new values to it, locks no table",
              "ALTER TABLE " + table +
                  " ALTER COLUMN … SET NOT NULL;  -- each table that uses it: carried out in steps"};
    case alter_domain_action::add_constraint: {
      const std::string& name = statement.constraint ? statement.constraint->name : statement.name;
      return {std::string(input.statement.range.in(input.text)) +
                  " NOT VALID;  -- holds new values to it, locks no table",
              alter + "VALIDATE CONSTRAINT " + (name.empty() ? "…" : sql::quote_identifier(name)) +
                  ";  -- blocks writes to the tables that use it: when they can wait, or never"};
    }
    default:
      return {
          "ALTER TABLE " + table +
              " ADD CONSTRAINT … CHECK (…) NOT VALID;  -- each table that uses it; the domain's own holds "
              "new values, and can stay NOT VALID",
          "ALTER TABLE " + table + " VALIDATE CONSTRAINT …;"};
  }
}

finding finding_on_table(const rule_input& input, const sql::alter_domain& statement,
                         const std::string& table) {
  const std::string name_sql = sql::quote_name(statement.domain);
  finding f;
  f.lock = lock_level::share;
  f.at = input.statement.range.begin;
  f.constraint = statement.constraint ? statement.constraint->name : statement.name;
  f.message =
      "changing domain " + name_sql + " scans " + (table.empty() ? "every table that uses it" : table);
  if (table.empty()) {
    f.detail = std::string(name(f.lock)) + " on every table with a column of " + name_sql + " blocks " +
               std::string(what_it_blocks(f.lock)) + " while every row is checked.";
    f.lacked_fact = "which tables use domain " + name_sql;
  } else {
    f.relations = {table};
    f.detail = std::string(name(f.lock)) + " on " + table + " blocks " + std::string(what_it_blocks(f.lock)) +
               " while every row is checked.";
  }
  advise(f, steps_for(input, statement, table.empty() ? "…" : table));
  return f;
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_domain>();
  if (!statement || !scans(*statement)) return;
  sql::type_name written;
  written.schema = statement->domain.schema;
  written.name = statement->domain.name;
  const auto domain = input.catalog.type(written);
  if (domain.state == presence::missing) return;
  if (!domain) return out.push_back(finding_on_table(input, *statement, {}));
  // One for each, since a small one is no hazard and the next may be.
  for (const auto& table : domain->used_by) out.push_back(finding_on_table(input, *statement, table));
}

}  // namespace

const rule& domain_constraint_validating_rule() {
  static constexpr rule r{"domain-constraint-validating",
                          "a domain's constraint blocks writes to every table that uses it, VALIDATE too",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
