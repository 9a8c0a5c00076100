// A dropped type or domain breaks every statement that names it; with CASCADE the columns of the type are
// lost with their values.
#include "policies/subject.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace tidegate::policies {

const rule& drop_type_rule();

namespace {

lookup<type_facts> facts_of(const rule_input& input, const sql::qualified_name& name) {
  sql::type_name type;
  type.schema = name.schema;
  type.name = name.name;
  return input.catalog.type(type);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check(const rule_input& input, findings& out) {
  const auto* drop = input.statement.as<sql::drop>();
  if (!drop || (drop->kind != sql::object_kind::type && drop->kind != sql::object_kind::domain)) return;
  for (const auto& name : drop->objects) {
    const subject written = subject_of(input, name);
    const auto type = facts_of(input, name);
    if (type.state == presence::missing && written.alone) continue;
    finding f = finding_on(drop_type_rule(), written);
    f.relations.clear();  // a type is none
    f.table.clear();
    f.lock = drop->cascade ? lock_level::access_exclusive : lock_level::none;
    f.at = input.statement.range.begin;
    f.message = std::string("dropping ") + (drop->kind == sql::object_kind::domain ? "domain " : "type ") +
                written.sql + " breaks every statement that names it";
    f.detail = drop->cascade
                   ? "Its columns are dropped, in any table, with their values, under ACCESS EXCLUSIVE."
                   : "PostgreSQL refuses while a column is of it; casts and parameters fail with 42704.";
    if (type && !type->used_by.empty()) f.detail += " Columns of it are in " + listed(type->used_by) + ".";
    advise(f, {"-- first the code that names " + written.sql + " and the columns of it, then:",
               "DROP " + std::string(drop->kind == sql::object_kind::domain ? "DOMAIN " : "TYPE ") +
                   written.sql + ";  -- by a role that may override this rule"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& drop_type_rule() {
  static constexpr rule r{"drop-type", "a dropped type breaks casts to it, and with CASCADE loses columns",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
