// CASCADE drops whatever depends on the object, unseen: views, foreign keys of other tables, triggers,
// indexes and defaults; with a type, domain or extension whole columns.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

namespace tidegate::policies {

const rule& drop_cascade_rule();

namespace {

using sql::object_kind;

bool is_relation(object_kind kind) {
  return kind == object_kind::table || kind == object_kind::view || kind == object_kind::materialized_view ||
         kind == object_kind::index || kind == object_kind::sequence || kind == object_kind::foreign_table;
}

std::string_view what_goes(object_kind kind) {
  switch (kind) {
    case object_kind::type:
    case object_kind::domain:
    case object_kind::extension:
      return "columns of its types, in any table, with their values";
    case object_kind::schema:
      return "everything in it, and what uses that elsewhere";
    case object_kind::function:
      return "triggers, defaults, indexes and generated columns that call it";
    default:
      return "views, foreign keys of other tables, triggers and defaults that depend on it";
  }
}

void describe_dependents(finding& f, const relation_facts& facts) {
  for (const auto& view : facts.dependent_views) f.detail += " Goes along: view " + view + ".";
  for (const auto& from : facts.referenced_by) {
    f.relations.push_back(from.relation);
    f.detail +=
        " Goes along: foreign key " + sql::quote_identifier(from.constraint) + " of " + from.relation + ".";
  }
}

void report(const rule_input& input, findings& out, const sql::qualified_name& name, std::string_view what,
            object_kind kind) {
  const bool relation = is_relation(kind);
  const subject object = subject_of(input, name);
  if (relation && object.certainly_missing) return;
  finding f = finding_on(drop_cascade_rule(), object);
  if (!relation) {
    f.relations.clear();
    f.table.clear();
  }
  f.message = "CASCADE drops whatever depends on " + std::string(what) + object.sql;
  f.detail = "ACCESS EXCLUSIVE on every relation concerned; lost are " + std::string(what_goes(kind)) + ".";
  if (relation && object.facts) {
    describe_dependents(f, *object.facts);
    // which columns default to a sequence is not known
    f.reaches_further = kind == object_kind::sequence || !object.facts->dependent_views.empty() ||
                        !object.facts->referenced_by.empty();
  }
  if (f.at < 0) f.at = input.statement.range.begin;
  advise(f, {"-- the same without CASCADE: PostgreSQL lists what depends on " + object.sql +
             "; drop those one by one first"});
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* drop = input.statement.as<sql::drop>()) {
    if (!drop->cascade) return;
    if (drop->objects.empty())
      for (const auto& name : drop->names) report(input, out, {"", "", name, -1}, "", drop->kind);
    for (const auto& object : drop->objects) report(input, out, object, "", drop->kind);
  } else if (const auto* alter = input.statement.as<sql::alter_table>()) {
    for (const auto& command : alter->commands) {
      if (!command.cascade) continue;
      if (command.action == sql::alter_action::drop_column)
        report(input, out, alter->relation, "column " + sql::quote_identifier(command.name) + " of ",
               alter->kind);
      else if (command.action == sql::alter_action::drop_constraint)
        report(input, out, alter->relation, "constraint " + sql::quote_identifier(command.name) + " of ",
               alter->kind);
    }
  } else if (const auto* domain = input.statement.as<sql::alter_domain>()) {
    if (domain->cascade && domain->action == sql::alter_domain_action::drop_constraint)
      report(input, out, domain->domain, "a constraint of domain ", object_kind::constraint);
  }
}

}  // namespace

const rule& drop_cascade_rule() {
  static constexpr rule r{"drop-cascade", "CASCADE drops whatever depends on the object", hazard::data_loss,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
