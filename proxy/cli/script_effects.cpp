#include "proxy/cli/script_effects.hpp"

#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace tidegate::cli {

namespace {

using policies::catalog_snapshot;
using policies::column_facts;
using policies::constraint_facts;
using policies::relation_facts;
using sql::qualified_name;

qualified_name name_of(const std::string& schema, const std::string& name) {
  return {.database = {}, .schema = schema, .name = name};
}

// "\"$user\", public" -> {public}; the user's own schema is not known.
std::vector<std::string> split_path(const std::string& value) {
  std::vector<std::string> schemas;
  std::string schema;
  for (const char c : value + ",") {
    if (c == ',') {
      if (!schema.empty() && schema != "$user") schemas.push_back(schema);
      schema.clear();
    } else if (c != ' ' && c != '"' && c != '\'') {
      schema += c;
    }
  }
  return schemas;
}

column_facts facts_of(const sql::column_definition& definition) {
  column_facts column;
  column.name = definition.name;
  column.type_schema = definition.type.schema;
  column.type = (definition.type.array_dimensions > 0 ? "_" : "") + definition.type.name;
  column.not_null = definition.find(sql::constraint_kind::not_null) || definition.is_serial() ||
                    definition.find(sql::constraint_kind::primary_key) ||
                    definition.find(sql::constraint_kind::identity);
  const auto* value = definition.find(sql::constraint_kind::default_value);
  column.has_default = definition.is_serial() ||
                       (value && value->value && value->value->shape != sql::expression_shape::null_constant);
  if (const auto* identity = definition.find(sql::constraint_kind::identity))
    column.identity = identity->identity_always ? 'a' : 'd';
  if (definition.find(sql::constraint_kind::generated_stored)) column.generated = 's';
  if (definition.find(sql::constraint_kind::generated_virtual)) column.generated = 'v';
  return column;
}

std::optional<constraint_facts> facts_of(const sql::constraint_definition& definition) {
  constraint_facts constraint;
  constraint.name = definition.name;
  constraint.columns = definition.columns;
  constraint.validated = !definition.not_valid && !definition.not_enforced;
  constraint.enforced = !definition.not_enforced;
  constraint.no_inherit = definition.no_inherit;
  switch (definition.kind) {
    case sql::constraint_kind::check:
      constraint.kind = 'c';
      if (!definition.value) return std::nullopt;
      constraint.expression = definition.value->text;
      constraint.columns = definition.value->columns;
      return constraint;
    case sql::constraint_kind::foreign_key:
      constraint.kind = 'f';
      if (definition.referenced) constraint.referenced = sql::quote_name(*definition.referenced);
      return constraint;
    case sql::constraint_kind::primary_key:
      constraint.kind = 'p';
      return constraint;
    case sql::constraint_kind::unique:
      constraint.kind = 'u';
      return constraint;
    default:
      return std::nullopt;
  }
}

void add_constraint(relation_facts& table, const sql::constraint_definition& definition) {
  auto constraint = facts_of(definition);
  if (!constraint) return;
  if (!definition.using_index.empty())
    for (auto& index : table.indexes)
      if (index.name == definition.using_index) {
        constraint->columns = index.columns;
        index.constraint = index.name = constraint->name.empty() ? index.name : constraint->name;
      }
  if (constraint->kind == 'p')
    for (auto& column : table.columns)
      if (std::find(constraint->columns.begin(), constraint->columns.end(), column.name) !=
          constraint->columns.end())
        column.not_null = true;
  table.constraints.push_back(std::move(*constraint));
}

template <class List>
void erase_named(List& list, const std::string& name) {
  std::erase_if(list, [&](const auto& item) { return item.name == name; });
}

void alter_facts(relation_facts& table, const sql::alter_command& command) {
  using enum sql::alter_action;
  const auto column = std::find_if(table.columns.begin(), table.columns.end(),
                                   [&](const column_facts& c) { return c.name == command.name; });
  switch (command.action) {
    case add_column:
      if (command.column && !table.column(command.column->name))
        table.columns.push_back(facts_of(*command.column));
      break;
    case drop_column:
      erase_named(table.columns, command.name);
      break;
    case set_not_null:
    case drop_not_null:
      if (column != table.columns.end()) column->not_null = command.action == set_not_null;
      break;
    case set_default:
    case drop_default:
      if (column != table.columns.end()) column->has_default = command.action == set_default;
      break;
    case add_constraint:
      if (command.constraint) cli::add_constraint(table, *command.constraint);
      break;
    case drop_constraint:
      erase_named(table.constraints, command.name);
      erase_named(table.indexes, command.name);
      break;
    case enable_row_security:
    case disable_row_security:
      table.row_security = command.action == enable_row_security;
      break;
    case validate_constraint:
      for (auto& constraint : table.constraints)
        if (constraint.name == command.name) constraint.validated = true;
      break;
    default:
      break;
  }
}

}  // namespace

std::optional<std::string> script_effects::setting(const std::string& name) const {
  const auto it = now_.settings.find(name);
  if (it == now_.settings.end()) return std::nullopt;
  return it->second;
}

bool script_effects::standard_conforming_strings() const {
  std::string value = setting("standard_conforming_strings").value_or("on");
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return value != "off" && value != "false" && value != "no" && value != "0";
}

std::vector<std::string> script_effects::full_names(const qualified_name& written) const {
  if (!written.schema.empty()) return {sql::quote_name(name_of(written.schema, written.name))};
  std::vector<std::string> names{sql::quote_name(name_of("pg_temp", written.name))};
  const auto path = setting("search_path");
  for (const auto& schema : path ? split_path(*path) : std::vector<std::string>{"public"})
    names.push_back(sql::quote_name(name_of(schema, written.name)));
  return names;
}

const script_effects::relation_state* script_effects::find(const qualified_name& written) const {
  for (const auto& name : full_names(written))
    if (const auto it = now_.relations.find(name); it != now_.relations.end()) return &it->second;
  return nullptr;
}

std::string script_effects::creation_name(const qualified_name& written, bool temporary) const {
  if (temporary) return sql::quote_name(name_of("pg_temp", written.name));
  const auto names = full_names(written);
  return names.size() > 1 ? names[1] : names.front();  // behind pg_temp
}

policies::fact_request script_effects::widen(policies::fact_request request) const {
  if (!setting("search_path")) return request;
  std::vector<qualified_name> more;
  for (const auto& relation : request.relations)
    if (relation.schema.empty())
      for (const auto& name : full_names(relation)) more.push_back(policies::split_full_name(name));
  for (auto& name : more)
    if (std::find(request.relations.begin(), request.relations.end(), name) == request.relations.end())
      request.relations.push_back(std::move(name));
  return request;
}

void script_effects::apply_to(catalog_snapshot& snapshot, const policies::fact_request& request) const {
  if (const auto zone = setting("timezone")) snapshot.time_zone = *zone;
  if (setting("search_path") && snapshot.available)
    for (const auto& relation : request.relations) {
      if (!relation.schema.empty()) continue;
      std::optional<relation_facts> first;
      for (const auto& name : full_names(relation))
        if (const auto found = snapshot.relation_by_full_name(name); found && !first) first = *found.facts;
      snapshot.bind_relation(relation, std::move(first));
    }
  // first by full name, so that partitions and partners are found, then as written
  for (const auto& [full_name, relation] : now_.relations)
    if (relation.what == relation_state::kind::known)
      snapshot.bind_relation(policies::split_full_name(full_name), relation.facts);
  for (const auto& written : request.relations) {
    const auto* relation = find(written);
    if (!relation) continue;
    switch (relation->what) {
      case relation_state::kind::known:
        snapshot.bind_relation(written, relation->facts);
        break;
      case relation_state::kind::gone:
        snapshot.bind_relation(written, std::nullopt);
        break;
      case relation_state::kind::unknown:
        snapshot.forget_relation(written);
        break;
    }
  }
}

bool script_effects::may_exist_before(const sql::statement& statement,
                                      const catalog_snapshot& snapshot) const {
  const auto exists = [&](const qualified_name& name) {
    if (const auto* relation = find(name)) return relation->what != relation_state::kind::gone;
    return !snapshot.available || snapshot.relation(name).state != policies::presence::missing;
  };
  if (const auto* table = statement.as<sql::create_table>())
    return table->if_not_exists && exists(table->relation);
  if (const auto* made = statement.as<sql::create_table_as>())
    return made->if_not_exists && exists(made->relation);
  if (const auto* view = statement.as<sql::create_view>()) return view->replace && exists(view->relation);
  return false;
}

void script_effects::add(const sql::statement& statement, const catalog_snapshot& snapshot) {
  const bool existed = may_exist_before(statement, snapshot);
  for (const auto& part : policies::parts_of(statement)) {
    const sql::statement& each = *part.statement;
    if (!part.runs) continue;
    if (const auto* control = each.as<sql::transaction>())
      transaction(*control);
    else if (const auto* setting = each.as<sql::variable_set>())
      set(*setting);
    else if (const auto* table = each.as<sql::create_table>(); table && !existed) {
      if (part.schema.empty()) {
        create_table(*table);
      } else {
        auto qualified = *table;
        qualified.relation = policies::qualify(qualified.relation, part.schema);
        create_table(qualified);
      }
    } else if (const auto* made = each.as<sql::create_table_as>(); made && !existed) {
      relation_facts facts;
      facts.kind = made->materialized_view ? 'm' : 'r';
      create(made->relation, std::move(facts), made->temporary);
    } else if (const auto* view = each.as<sql::create_view>(); view && !existed) {
      relation_facts facts;
      facts.kind = 'v';
      create(view->relation, std::move(facts), view->temporary);
    } else if (const auto* index = each.as<sql::create_index>())
      create_index(*index, snapshot);
    else if (const auto* altered = each.as<sql::alter_table>())
      alter(*altered, snapshot);
    else if (const auto* renamed = each.as<sql::rename>())
      rename(*renamed, snapshot);
    else if (const auto* moved = each.as<sql::set_schema>())
      move(*moved, snapshot);
    else if (const auto* dropped = each.as<sql::drop>(); dropped && dropped->kind == sql::object_kind::policy)
      for (const auto& relation : dropped->objects) count_policies(relation, -1, snapshot);
    else if (dropped)
      drop(*dropped, snapshot);
    else if (const auto* about = each.as<sql::on_relation>();
             about && about->kind == sql::object_kind::policy && about->verb == sql::on_relation_verb::create)
      count_policies(about->relation, 1, snapshot);
  }
}

void script_effects::transaction(const sql::transaction& statement) {
  using enum sql::transaction_action;
  switch (statement.action) {
    case begin:
      if (!at_begin_) at_begin_ = now_;
      break;
    case rollback:
      if (at_begin_) now_ = std::move(*at_begin_);
      [[fallthrough]];
    case commit:
    case prepare:
      for (const auto& [name, value] : local_before_) {
        now_.settings.erase(name);
        if (!value.empty()) now_.settings[name] = value;
      }
      local_before_.clear();
      at_begin_.reset();
      if (statement.chain) at_begin_ = now_;
      break;
    default:
      break;
  }
}

void script_effects::set(const sql::variable_set& statement) {
  if (statement.form == sql::set_form::reset_all) {
    now_.settings.clear();
    return;
  }
  if (statement.local) {
    if (!at_begin_) return;  // no transaction, no effect
    local_before_.emplace(statement.name, setting(statement.name).value_or(""));
  }
  if (statement.form == sql::set_form::set)
    now_.settings[statement.name] = statement.value;
  else if (statement.form == sql::set_form::set_default || statement.form == sql::set_form::reset)
    now_.settings.erase(statement.name);
}

void script_effects::remember(relation_facts facts) {
  const std::string full_name = facts.full_name();
  now_.relations[full_name] = {relation_state::kind::known, std::move(facts)};
}

void script_effects::forget(const std::string& full_name) {
  // behind a temporary table that is gone the name means another again
  if (policies::split_full_name(full_name).schema == "pg_temp")
    now_.relations.erase(full_name);
  else
    now_.relations[full_name] = {relation_state::kind::gone, {}};
}

void script_effects::create(const qualified_name& relation, relation_facts facts, bool temporary) {
  const std::string full_name = creation_name(relation, temporary || relation.schema == "pg_temp");
  const auto name = policies::split_full_name(full_name);
  facts.schema = name.schema;
  facts.name = name.name;
  facts.persistence = name.schema == "pg_temp" ? 't' : facts.persistence;
  facts.fresh = true;
  facts.bytes = 0;
  now_.relations[full_name] = {relation_state::kind::known, std::move(facts)};
}

void script_effects::create_table(const sql::create_table& statement) {
  relation_facts facts;
  facts.kind = statement.foreign ? 'f' : statement.partitioned ? 'p' : 'r';
  facts.persistence = statement.unlogged ? 'u' : 'p';
  for (const auto& column : statement.columns) facts.columns.push_back(facts_of(column));
  for (const auto& constraint : statement.constraints) add_constraint(facts, constraint);
  for (const auto& column : statement.columns)
    for (const auto& constraint : column.constraints) add_constraint(facts, constraint);
  create(statement.relation, std::move(facts), statement.temporary);
}

// The facts of a relation as the statement saw them become the file's own.
void script_effects::create_index(const sql::create_index& statement, const catalog_snapshot& snapshot) {
  const auto table = snapshot.relation(statement.relation);
  if (!table || statement.name.empty()) return;
  relation_facts facts = *table.facts;
  if (facts.index(statement.name)) return;
  policies::index_facts index;
  index.schema = facts.schema;
  index.name = statement.name;
  index.unique = statement.unique;
  index.method = statement.method;
  index.columns = index.mentions = statement.columns;
  index.has_expressions = !statement.expressions.empty();
  index.has_predicate = statement.where.has_value();
  relation_facts made;
  made.kind = 'i';
  made.index_table = facts.full_name();
  made.schema = facts.schema;
  made.name = statement.name;
  made.fresh = true;
  facts.indexes.push_back(std::move(index));
  remember(std::move(made));
  remember(std::move(facts));
}

void script_effects::alter(const sql::alter_table& statement, const catalog_snapshot& snapshot) {
  const auto relation = snapshot.relation(statement.relation);
  if (!relation) return;
  relation_facts facts = *relation.facts;
  for (const auto& command : statement.commands) {
    alter_facts(facts, command);
    alter_partitions(facts, command, snapshot);
  }
  remember(std::move(facts));
}

void script_effects::alter_partitions(relation_facts& parent, const sql::alter_command& command,
                                      const catalog_snapshot& snapshot) {
  using enum sql::alter_action;
  if (!command.partition || (command.action != attach_partition && command.action != detach_partition))
    return;
  const auto partition = snapshot.relation(*command.partition);
  if (!partition) return;
  relation_facts facts = *partition.facts;
  const std::string name = facts.full_name();
  std::erase(parent.partitions, name);
  if (parent.default_partition == name) parent.default_partition.clear();
  facts.parent.clear();
  facts.partition_bound.clear();
  if (command.action == attach_partition) {
    parent.partitions.push_back(name);
    facts.parent = parent.full_name();
    if (command.bound) facts.partition_bound = command.bound->text;
    if (command.bound && command.bound->strategy == 0) parent.default_partition = name;
  }
  remember(std::move(facts));
}

// CREATE and DROP POLICY.
void script_effects::count_policies(const qualified_name& relation, int more,
                                    const catalog_snapshot& snapshot) {
  const auto table = snapshot.relation(relation);
  if (!table) return;
  relation_facts facts = *table.facts;
  facts.policies = std::max(facts.policies + more, 0);
  remember(std::move(facts));
}

void script_effects::replace(const qualified_name& from, const qualified_name& to,
                             const catalog_snapshot& snapshot) {
  const auto before = snapshot.relation(from);
  relation_state after;
  qualified_name target = to;
  if (before) {
    if (target.schema.empty()) target.schema = before->schema;
    after = {relation_state::kind::known, *before.facts};
    after.facts.schema = target.schema;
    after.facts.name = target.name;
    forget(before->full_name());
  }
  now_.relations[creation_name(target, false)] = std::move(after);
}

void script_effects::rename(const sql::rename& statement, const catalog_snapshot& snapshot) {
  using enum sql::object_kind;
  switch (statement.kind) {
    case table:
    case view:
    case materialized_view:
    case index:
    case sequence:
    case foreign_table:
      replace(statement.relation, name_of(statement.relation.schema, statement.to), snapshot);
      break;
    case column:
    case constraint:
      if (const auto relation = snapshot.relation(statement.relation)) {
        relation_facts facts = *relation.facts;
        if (statement.kind == column) {
          for (auto& each : facts.columns)
            if (each.name == statement.from) each.name = statement.to;
        } else {
          for (auto& each : facts.constraints)
            if (each.name == statement.from) each.name = statement.to;
        }
        remember(std::move(facts));
      }
      break;
    default:
      break;
  }
}

void script_effects::move(const sql::set_schema& statement, const catalog_snapshot& snapshot) {
  replace(statement.object, name_of(statement.to, statement.object.name), snapshot);
}

void script_effects::drop(const sql::drop& statement, const catalog_snapshot& snapshot) {
  using enum sql::object_kind;
  if (statement.kind != table && statement.kind != view && statement.kind != materialized_view &&
      statement.kind != index && statement.kind != sequence && statement.kind != foreign_table)
    return;
  for (const auto& object : statement.objects) {
    const auto facts = snapshot.relation(object);
    forget(facts ? facts->full_name() : creation_name(object, false));
  }
}

}  // namespace tidegate::cli
