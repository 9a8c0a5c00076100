// CREATE, ALTER and DROP POLICY are instant, under ACCESS EXCLUSIVE: queries are planned with the policies.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <cstddef>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& policy_change_rule();

namespace {

void report(const rule_input& input, findings& out, const sql::qualified_name& relation,
            const std::string& verb, const std::string& policy) {
  const subject table = subject_of(input, relation);
  if (table.certainly_missing) return;
  finding f = finding_on(policy_change_rule(), table);
  if (f.at < 0) f.at = input.statement.range.begin;
  f.message = verb + " policy " + sql::quote_identifier(policy) + " of " + table.sql;
  f.detail = lock_in_words(f.lock, table) + " for a moment.";
  if (table.facts && !table.facts->row_security)
    f.detail += " Row level security is not enabled on it: the policy has no effect yet.";
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* change = input.statement.as<sql::on_relation>()) {
    if (change->kind != sql::object_kind::policy || change->verb == sql::on_relation_verb::comment) return;
    const bool creates = change->verb == sql::on_relation_verb::create;
    report(input, out, change->relation, creates ? "creating" : "altering", change->name);
  } else if (const auto* renamed = input.statement.as<sql::rename>()) {
    if (renamed->kind == sql::object_kind::policy)
      report(input, out, renamed->relation, "renaming", renamed->from);
  } else if (const auto* drop = input.statement.as<sql::drop>()) {
    if (drop->kind != sql::object_kind::policy) return;
    for (std::size_t i = 0; i < drop->objects.size() && i < drop->names.size(); ++i)
      report(input, out, drop->objects[i], "dropping", drop->names[i]);
  }
}

}  // namespace

const rule& policy_change_rule() {
  static constexpr rule r{"policy-change", "a change of a policy makes reads and writes wait for a moment",
                          hazard::instant, verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
