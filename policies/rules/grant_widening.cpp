// A GRANT that reaches further than the roles it names: to PUBLIC, with the right to pass it on, or of a
// predefined role that opens the server itself. No table lock is taken.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tidegate::policies {

const rule& grant_widening_rule();

namespace {

// Their members read and write the server's files, run its programs, or every table.
constexpr std::string_view far_reaching_roles[] = {
    "pg_database_owner", "pg_execute_server_program", "pg_read_all_data",     "pg_read_server_files",
    "pg_signal_backend", "pg_write_all_data",         "pg_write_server_files"};

std::string list_of(const std::vector<sql::qualified_name>& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + sql::quote_name(name);
  return list;
}

std::string rights_of(const sql::privilege_change& change) {
  if (change.of_role) return "membership in " + list_of(change.objects);
  std::string list;
  for (const auto& privilege : change.privileges) list += (list.empty() ? "" : ", ") + privilege;
  std::transform(list.begin(), list.end(), list.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (list.empty()) list = "all rights";
  if (change.by_default) return list + " on what will be made";
  if (change.all_in_schema) return list + " on everything in schema " + list_of(change.objects);
  return list + " on " + list_of(change.objects);
}

// PUBLIC has these anyway unless they were revoked.
bool is_default_of_public(const sql::privilege_change& change) {
  using enum sql::object_kind;
  return change.kind == function || change.kind == type || change.kind == domain || change.kind == language;
}

void check(const rule_input& input, findings& out) {
  const auto* change = input.statement.as<sql::privilege_change>();
  if (!change || !change->grant) return;
  const bool to_everybody = change->to_public && !is_default_of_public(*change);
  const bool far_reaching =
      change->of_role && std::any_of(change->objects.begin(), change->objects.end(), [](const auto& role) {
        return std::find(std::begin(far_reaching_roles), std::end(far_reaching_roles), role.name) !=
               std::end(far_reaching_roles);
      });
  if (!to_everybody && !change->with_option && !far_reaching) return;
  std::string to;
  for (const auto& grantee : change->grantees)
    to += (to.empty() ? "" : ", ") + (grantee == "public" ? "PUBLIC" : sql::quote_identifier(grantee));
  finding f;
  f.at = input.statement.range.begin;
  if (change->kind == sql::object_kind::table && !change->all_in_schema)
    for (const auto& object : change->objects) f.relations.push_back(sql::quote_name(object));
  f.message = to_everybody          ? rights_of(*change) + " for every role there is and will be"
              : change->with_option ? to + " may pass " + rights_of(*change) + " on"
                                    : rights_of(*change) + " reaches beyond the tables of the database";
  f.detail = "GRANT takes no table lock; what it opens stays open until somebody revokes it.";
  const std::string instead =
      to_everybody ? "GRANT … TO the roles that need it, one by one."
      : change->with_option
          ? "the same without WITH " + std::string(change->of_role ? "ADMIN" : "GRANT") + " OPTION."
          : "GRANT the few rights that are needed on the tables themselves.";
  f.hint = "Instead: " + instead;
  out.push_back(std::move(f));
}

}  // namespace

const rule& grant_widening_rule() {
  static constexpr rule r{"grant-widening", "rights for everybody, or to be passed on, stay open unnoticed",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
