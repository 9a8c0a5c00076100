// A constraint of a domain is checked in every table that uses it, under SHARE on all of them. Unlike a
// table's, VALIDATE of a domain's constraint blocks writes as well (hazards §0.17).
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& domain_constraint_validating_rule();

namespace {

bool scans(const sql::alter_domain& statement) {
  using enum sql::alter_domain_action;
  switch (statement.action) {
    case set_not_null:
    case validate_constraint:
      return true;
    case add_constraint:
      return !statement.constraint || !statement.constraint->not_valid;
    default:
      return false;
  }
}

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::alter_domain>();
  if (!statement || !scans(*statement)) return;
  sql::type_name written;
  written.schema = statement->domain.schema;
  written.name = statement->domain.name;
  const auto domain = input.catalog.type(written);
  if (domain.state == presence::missing || (domain && domain->used_by.empty())) return;

  const std::string name_sql = sql::quote_name(statement->domain);
  finding f;
  f.lock = lock_level::share;
  f.at = input.statement.range.begin;
  f.constraint = statement->constraint ? statement->constraint->name : statement->name;
  f.message = "changing domain " + name_sql + " scans every table that uses it";
  if (domain) {
    f.relations = domain->used_by;
    std::string tables;
    for (const auto& table : domain->used_by) tables += (tables.empty() ? "" : ", ") + table;
    f.detail = std::string(name(f.lock)) + " on " + tables + " blocks " +
               std::string(what_it_blocks(f.lock)) + " while every row is checked.";
  } else {
    f.detail = std::string(name(f.lock)) + " on every table with a column of " + name_sql + " blocks " +
               std::string(what_it_blocks(f.lock)) + " while every row is checked.";
    f.lacked_fact = "which tables use domain " + name_sql;
  }
  const std::string table = domain ? domain->used_by.front() : "…";
  advise(f, {"ALTER TABLE " + table + " ADD CONSTRAINT … CHECK (…) NOT VALID;  -- on each table that uses it",
             "ALTER TABLE " + table + " VALIDATE CONSTRAINT …;"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& domain_constraint_validating_rule() {
  static constexpr rule r{"domain-constraint-validating",
                          "a domain's constraint blocks writes to every table that uses it, VALIDATE too",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
