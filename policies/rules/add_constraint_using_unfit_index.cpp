// UNIQUE or PRIMARY KEY USING INDEX takes only a plain, valid, unique B-tree index of its own; PostgreSQL
// refuses every other after it has taken ACCESS EXCLUSIVE.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

#include <optional>
#include <utility>

namespace tidegate::policies {

const rule& add_constraint_using_unfit_index_rule();

namespace {

struct unfitness {
  std::string_view sqlstate;
  std::string because;
};

// In the order of transformIndexConstraint().
std::optional<unfitness> why_unfit(const relation_facts& table, const index_facts& index) {
  if (table.kind == 'p') return unfitness{"0A000", "partitioned tables take no constraint USING INDEX"};
  if (!index.constraint.empty())
    return unfitness{"55000",
                     "it belongs to constraint " + sql::quote_identifier(index.constraint) + " already"};
  if (!index.valid || !index.ready)
    return unfitness{"55000", "it is not valid: a concurrent build of it failed or still runs"};
  if (!index.unique) return unfitness{"42809", "it is not unique"};
  if (index.has_expressions) return unfitness{"42809", "it has expressions"};
  if (index.has_predicate) return unfitness{"42809", "it is partial"};
  if (index.method != "btree") return unfitness{"42809", "it is no B-tree"};
  if (!index.plain_order)
    return unfitness{
        "42809", "it does not sort as a constraint does (DESC, NULLS FIRST, operator class or collation)"};
  return std::nullopt;
}

void check_kind(const rule_input& input, sql::constraint_kind kind, findings& out) {
  for (const auto& added : added_constraints(input, kind)) {
    const auto* table = added.table.facts;
    const std::string& name = added.definition->using_index;
    if (name.empty() || !table) continue;
    const auto* index = table->index(name);
    if (!index) continue;
    const auto unfit = why_unfit(*table, *index);
    if (!unfit) continue;
    finding f = finding_on(add_constraint_using_unfit_index_rule(), added);
    f.sqlstate = unfit->sqlstate;
    f.message = "index " + sql::quote_identifier(name) + " cannot become a constraint of " + added.table.sql;
    f.detail = "PostgreSQL refuses it: " + unfit->because + ".";
    added_constraint plain = added;
    sql::constraint_definition definition = *added.definition;
    if (definition.columns.empty() && !index->has_expressions) definition.columns = index->columns;
    plain.definition = &definition;
    plain.name = added.definition->name.empty() ? name + "_plain" : added.definition->name;
    if (table->kind != 'p' && !definition.columns.empty())
      advise(f, use_index_steps(plain, input.catalog.server_version));
    out.push_back(std::move(f));
  }
}

void check(const rule_input& input, findings& out) {
  check_kind(input, sql::constraint_kind::unique, out);
  check_kind(input, sql::constraint_kind::primary_key, out);
}

}  // namespace

const rule& add_constraint_using_unfit_index_rule() {
  static constexpr rule r{"add-constraint-using-unfit-index",
                          "only a plain, valid, unique index can become a constraint", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
