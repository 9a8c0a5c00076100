// The index of a constraint goes with the constraint; PostgreSQL refuses to drop it by itself.
#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_constraint_index_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::drop>();
  if (!statement || statement->kind != sql::object_kind::index) return;
  for (const auto& object : statement->objects) {
    const subject index = subject_of(input, object);
    if (!index.facts) continue;
    const auto table = input.catalog.relation_by_full_name(index.facts->index_table);
    const auto* facts = table ? table->index(index.facts->name) : nullptr;
    if (!facts || facts->constraint.empty()) continue;
    finding f = finding_on(drop_constraint_index_rule(), index);
    f.relations = {table->full_name(), index.full_name};
    f.schema = table->schema;
    f.table = table->name;
    f.constraint = facts->constraint;
    f.lock = lock_level::none;
    f.sqlstate = "2BP01";
    const std::string constraint = sql::quote_identifier(facts->constraint);
    f.message = "index " + index.sql + " belongs to constraint " + constraint + " of " + table->full_name();
    f.detail = "PostgreSQL refuses to drop it without the constraint.";
    advise(f, {"ALTER TABLE " + table->full_name() + " DROP CONSTRAINT " + constraint + ";"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_constraint_index_rule() {
  static constexpr rule r{"drop-constraint-index", "the index of a constraint can't be dropped by itself",
                          hazard::will_fail, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
