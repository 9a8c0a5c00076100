// A rule rewrites every statement on the relation from then on: plans, counts of rows and RETURNING change in
// ways that are hard to foresee.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& create_rule_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::on_relation>();
  if (!create || create->verb != sql::on_relation_verb::create || create->kind != sql::object_kind::rule)
    return;
  const subject relation = subject_of(input, create->relation);
  if (relation.certainly_missing || is_its_own(input, relation)) return;
  finding f = finding_on(create_rule_rule(), relation);
  f.message = "rule " + sql::quote_identifier(create->name) + " rewrites every statement on " + relation.sql;
  f.detail = lock_in_words(f.lock, relation) +
             " for a moment; then statements do, count and return something else than they say.";
  advise(f,
         {"CREATE TRIGGER " + sql::quote_identifier(create->name) + " BEFORE INSERT OR UPDATE OR DELETE ON " +
          relation.sql + " FOR EACH ROW EXECUTE FUNCTION …();  -- on a view: INSTEAD OF"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_rule_rule() {
  static constexpr rule r{"create-rule", "a rule rewrites every statement on its relation", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
