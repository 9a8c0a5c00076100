// REVOKE takes no table lock and works at once: running code may lose a right that it uses.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& revoke_rule();

namespace {

// Made by this transaction: nobody can have used it yet.
bool is_new(const rule_input& input, const sql::privilege_change& change) {
  if (change.all_in_schema || change.objects.empty()) return false;
  return std::all_of(change.objects.begin(), change.objects.end(), [&](const sql::qualified_name& object) {
    if (input.history.created(object) || input.history.created_object(object)) return true;
    const auto facts = input.catalog.relation(object);
    return facts && facts->new_in_transaction;
  });
}

void check(const rule_input& input, findings& out) {
  const auto* change = input.statement.as<sql::privilege_change>();
  // default rights are those of what will be made, and who loses an option keeps the right itself
  if (!change || change->grant || change->by_default || change->with_option || is_new(input, *change)) return;
  std::string objects;
  for (const auto& object : change->objects)
    objects += (objects.empty() ? "" : ", ") + sql::quote_name(object);
  std::string from;
  for (const auto& grantee : change->grantees)
    from += (from.empty() ? "" : ", ") + (grantee == "public" ? "PUBLIC" : sql::quote_identifier(grantee));
  finding f;
  f.at = input.statement.range.begin;
  if (change->kind == sql::object_kind::table && !change->all_in_schema)
    for (const auto& object : change->objects) f.relations.push_back(sql::quote_name(object));
  f.message = from + " loses " + (change->of_role ? "membership in " : "rights on ") +
              (change->all_in_schema ? "everything in schema " : "") + objects + " at once";
  f.detail =
      "No table lock is taken; statements of running code that need the right fail with 42501 from the "
      "COMMIT on.";
  f.hint =
      "Instead: first make sure that nobody uses it, for instance by has_table_privilege() and the "
      "server's log; GRANT gives it back.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& revoke_rule() {
  static constexpr rule r{"revoke", "running code may lose a right that it uses", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
