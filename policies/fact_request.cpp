#include "policies/fact_request.hpp"

#include "policies/lock_level.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

namespace tidegate::policies {

namespace {

// Gathers the names of one statement, each once.
class gatherer {
 public:
  explicit gatherer(fact_request& request) : request_(request) {}

  void relation(const sql::qualified_name& name) {
    if (!name.name.empty()) add(request_.relations, name, [&](const auto& have) { return have == name; });
  }

  void type(const sql::type_name& type) {
    if (!type.name.empty())
      add(request_.types, type,
          [&](const auto& have) { return have.schema == type.schema && have.name == type.name; });
  }

  void function(const sql::function_call& call) {
    add(request_.functions, call, [&](const auto& have) {
      return have.schema == call.schema && have.name == call.name && have.arguments == call.arguments;
    });
  }

  void expression(const std::optional<sql::expression>& value) {
    if (!value) return;
    for (const auto& call : value->functions) function(call);
    for (const auto& cast : value->casts) type(cast);
  }

  void constraint(const sql::constraint_definition& definition) {
    expression(definition.value);
    if (definition.referenced) relation(*definition.referenced);
  }

  void column(const sql::column_definition& definition) {
    type(definition.type);
    for (const auto& each : definition.constraints) constraint(each);
  }

  void of(const sql::alter_table& statement) {
    relation(statement.relation);
    for (const auto& command : statement.commands) {
      if (command.column) column(*command.column);
      if (command.constraint) constraint(*command.constraint);
      expression(command.value);
      if (command.partition) relation(*command.partition);
      // the index a constraint is made of lives in the schema of its table
      if (command.constraint && !command.constraint->using_index.empty())
        relation(
            {.database = {}, .schema = statement.relation.schema, .name = command.constraint->using_index});
    }
  }

  void of(const sql::create_table& statement) {
    relation(statement.relation);
    if (statement.partition_of) relation(*statement.partition_of);
    for (const auto& parent : statement.inherits) relation(parent);
    for (const auto& each : statement.constraints) constraint(each);
    for (const auto& each : statement.columns) column(each);
  }

  void of(const sql::create_index& statement) {
    relation(statement.relation);
    if (!statement.name.empty())
      relation({.database = {}, .schema = statement.relation.schema, .name = statement.name});
  }

  void of(const sql::create_table_as& statement) {
    relation(statement.relation);
    for (const auto& source : statement.sources) relation(source);
  }
  void of(const sql::create_view& statement) { relation(statement.relation); }
  void of(const sql::rename& statement) {
    if (is_type(statement.relation_kind))
      type(named_type(statement.relation));
    else
      relation(statement.relation);
  }
  void of(const sql::set_schema& statement) {
    if (is_type(statement.kind))
      type(named_type(statement.object));
    else
      relation(statement.object);
  }

  void of(const sql::drop& statement) {
    using enum sql::object_kind;
    switch (statement.kind) {
      case table:
      case view:
      case materialized_view:
      case index:
      case sequence:
      case foreign_table:
      case trigger:
      case rule:
      case policy:
        for (const auto& object : statement.objects) relation(object);
        break;
      case sql::object_kind::type:
      case domain:
        for (const auto& object : statement.objects) this->type(named_type(object));
        break;
      default:
        break;
    }
  }

  void of(const sql::reindex& statement) { relation(statement.relation); }
  void of(const sql::cluster& statement) {
    if (statement.relation) relation(*statement.relation);
  }
  void of(const sql::vacuum& statement) {
    if (!statement.full) return;
    for (const auto& each : statement.relations) relation(each);
  }
  void of(const sql::truncate& statement) {
    for (const auto& each : statement.relations) relation(each);
  }
  void of(const sql::lock_table& statement) {
    if (!blocks_writes(static_cast<lock_level>(statement.mode))) return;
    for (const auto& each : statement.relations) relation(each);
  }
  void of(const sql::refresh_materialized_view& statement) { relation(statement.relation); }
  void of(const sql::on_relation& statement) {
    if (statement.verb != sql::on_relation_verb::comment) relation(statement.relation);
  }
  void of(const sql::alter_domain& statement) {
    type(named_type(statement.domain));
    request_.users_of_domains = true;
    if (statement.constraint) constraint(*statement.constraint);
  }

  void of(const sql::alter_enum& statement) { type(named_type(statement.type)); }

  void of(const sql::copy& statement) {
    if (statement.body) of(*statement.body);
  }
  void of(const sql::create_function&) { request_.session = true; }
  void of(const sql::create_enum&) { request_.session = true; }
  void of(const sql::other_statement& statement) {
    if (statement.node == "CreateSeqStmt" || statement.node == "CreateDomainStmt" ||
        statement.node == "CompositeTypeStmt" || statement.node == "CreateRangeStmt")
      request_.session = true;
    if (statement.node != "AlterSeqStmt") return;
    for (const auto& each : statement.relations) relation(each);
  }

  void of(const sql::query& statement) {
    for (const auto& change : statement.whole_changes) relation(change.relation);
  }

  template <class Other>
  void of(const Other&) {}  // decided by its text alone

 private:
  template <class List, class Item, class Same>
  static void add(List& list, const Item& item, Same same) {
    if (std::none_of(list.begin(), list.end(), same)) list.push_back(item);
  }

  static bool is_type(sql::object_kind kind) {
    return kind == sql::object_kind::type || kind == sql::object_kind::domain;
  }

  static sql::type_name named_type(const sql::qualified_name& name) {
    sql::type_name type;
    type.schema = name.schema;
    type.name = name.name;
    return type;
  }

  fact_request& request_;
};

void gather(const sql::statement& statement, fact_request& request) {
  gatherer names(request);
  for (const statement_part& part : parts_of(statement))
    std::visit([&](const auto& node) { names.of(node); }, part.statement->node);
}

}  // namespace

fact_request facts_needed(const sql::statement& statement) {
  fact_request request;
  gather(statement, request);
  return request;
}

fact_request facts_needed(const std::vector<sql::statement>& statements) {
  fact_request request;
  for (const auto& statement : statements) gather(statement, request);
  return request;
}

fact_request facts_needed(const std::vector<const sql::statement*>& statements) {
  fact_request request;
  for (const auto* statement : statements) gather(*statement, request);
  return request;
}

}  // namespace tidegate::policies
