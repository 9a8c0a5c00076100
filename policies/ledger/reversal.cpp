#include "policies/ledger/reversal.hpp"

#include "policies/sql/quote.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {
namespace {

bool is_temporary_schema(std::string_view schema) {
  return schema == "pg_temp" || schema.starts_with("pg_temp_");
}

bool changes_schema(const transaction_history::entry& e) {
  using kind = transaction_history::entry::kind;
  return e.what != kind::wrote_rows && e.what != kind::savepoint && e.what != kind::began;
}

}  // namespace

std::string_view words(sql::object_kind kind) {
  switch (kind) {
    case sql::object_kind::table:
      return "TABLE";
    case sql::object_kind::view:
      return "VIEW";
    case sql::object_kind::materialized_view:
      return "MATERIALIZED VIEW";
    case sql::object_kind::index:
      return "INDEX";
    case sql::object_kind::sequence:
      return "SEQUENCE";
    case sql::object_kind::foreign_table:
      return "FOREIGN TABLE";
    case sql::object_kind::type:
    case sql::object_kind::composite_type:
      return "TYPE";
    case sql::object_kind::domain:
      return "DOMAIN";
    case sql::object_kind::trigger:
      return "TRIGGER";
    case sql::object_kind::policy:
      return "POLICY";
    case sql::object_kind::rule:
      return "RULE";
    default:
      return {};
  }
}

void reversal::note(const sql::qualified_name& object) {
  std::string name = sql::quote_name({.database = {}, .schema = object.schema, .name = object.name});
  auto& objects = result_.objects;
  if (std::find(objects.begin(), objects.end(), name) == objects.end()) objects.push_back(std::move(name));
}

sql::qualified_name reversal::existing(const sql::qualified_name& written) {
  const auto found = catalog().relation(written);
  if (found && found->persistence == 't') throw not_reversible("it is about a temporary relation");
  sql::qualified_name name{.database = {}, .schema = written.schema, .name = written.name};
  if (found)
    name = {.database = {}, .schema = found->schema, .name = found->name};
  else if (written.schema.empty())
    throw not_reversible("which schema " + sql::quote_name(written) + " is in was not known");
  if (is_temporary_schema(name.schema)) throw not_reversible("it is about a temporary relation");
  note(name);
  return name;
}

sql::qualified_name reversal::existing_type(const sql::qualified_name& written) {
  sql::type_name asked;
  asked.schema = written.schema;
  asked.name = written.name;
  const auto found = catalog().type(asked);
  sql::qualified_name name{.database = {}, .schema = written.schema, .name = written.name};
  if (found) name = {.database = {}, .schema = found->schema, .name = found->name};
  if (name.schema.empty())
    throw not_reversible("which schema " + sql::quote_name(written) + " is in was not known");
  note(name);
  return name;
}

sql::qualified_name reversal::made(const sql::qualified_name& written) {
  sql::qualified_name name{.database = {}, .schema = written.schema, .name = written.name};
  if (name.schema.empty()) {
    for (const std::string& schema : catalog().search_path) {
      if (schema == "pg_catalog" || is_temporary_schema(schema)) continue;
      name.schema = schema;
      break;
    }
  }
  if (name.schema.empty())
    throw not_reversible("which schema " + sql::quote_name(written) + " was made in is not known");
  note(name);
  return name;
}

bool reversal::changed_before(const std::string& name) const {
  const auto& entries = input_.history.entries();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const auto& e) { return changes_schema(e) && e.relation.name == name; });
}

const relation_facts& reversal::facts_before(const sql::qualified_name& written) const {
  const auto found = catalog().relation(written);
  if (!found || found->new_in_transaction)
    throw not_reversible("what " + sql::quote_name(written) + " was like before is not known");
  if (changed_before(found->name))
    throw not_reversible("the same transaction had changed " + sql::quote_name(written) + " before");
  return *found.facts;
}

bool reversal::knows_taken_names(const relation_facts& table) const {
  const auto& entries = input_.history.entries();
  return !table.new_in_transaction && std::none_of(entries.begin(), entries.end(), changes_schema);
}

}  // namespace tidegate::policies
