#include "proxy/control/catalog_reader.hpp"

#include "policies/sql/quote.hpp"
#include "proxy/control/catalog_queries.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace tidegate::control {

namespace asio = boost::asio;
using policies::catalog_snapshot;
using policies::column_facts;
using policies::constraint_facts;
using policies::index_facts;
using policies::relation_facts;
using policies::type_facts;

namespace {

using oid = std::uint32_t;

command about(std::string_view sql, const std::string& oids) {
  return {std::string(sql), {oids}, true};
}

oid oid_at(const text_row& row, std::size_t column) {
  return number<oid>(row, column).value_or(0);
}

char char_at(const text_row& row, std::size_t column, char otherwise) {
  const std::string cell = text(row, column);
  return cell.empty() ? otherwise : cell.front();
}

std::string full_name(const std::string& schema, const std::string& name) {
  if (name.empty()) return {};
  return sql::quote_name({.database = {}, .schema = schema, .name = name});
}

std::string full_name(const text_row& row, std::size_t schema_column) {
  return full_name(text(row, schema_column), text(row, schema_column + 1));
}

// `CHECK ((x > 0)) NO INHERIT NOT VALID` -> `(x > 0)`
std::string check_expression(std::string definition) {
  constexpr std::string_view begin = "CHECK (";
  if (!definition.starts_with(begin)) return definition;
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view suffix :
         {std::string_view(" NOT VALID"), std::string_view(" NO INHERIT"), std::string_view(" NOT ENFORCED")})
      if (definition.ends_with(suffix)) {
        definition.resize(definition.size() - suffix.size());
        cut = true;
      }
  }
  if (definition.ends_with(')')) definition.pop_back();
  return definition.substr(begin.size());
}

// What the rows of pg_class say of a relation's rows, corrected by its present size: reltuples is that of the
// last ANALYZE or VACUUM.
struct row_estimate {
  double tuples = -1;
  double pages = 0;
  double block_size = 8192;

  std::optional<double> for_size(std::int64_t bytes) const {
    if (bytes == 0) return 0;
    if (tuples < 0 || pages <= 0) return std::nullopt;
    return tuples / pages * (static_cast<double>(bytes) / block_size);
  }
};

// The facts by oid, filled from the answers of one round.
class fact_table {
 public:
  std::map<oid, relation_facts> relations;

  void add_relations(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts& facts = relations[oid_at(row, 0)];
      facts.oid = oid_at(row, 0);
      facts.schema = text(row, 1);
      facts.name = text(row, 2);
      facts.kind = char_at(row, 3, 'r');
      facts.persistence = char_at(row, 4, 'p');
      estimates_[facts.oid] = {number<double>(row, 5).value_or(-1), number<double>(row, 6).value_or(0),
                               number<double>(row, 7).value_or(8192)};
      facts.tablespace = text(row, 8);
      facts.access_method = text(row, 9);
      facts.owner = text(row, 10);
      facts.replica_identity = char_at(row, 11, 'd');
      facts.row_security = truth(row, 12);
      facts.policies = number<int>(row, 13).value_or(0);
      facts.parent = full_name(row, 14);
      facts.index_table = full_name(row, 16);
      facts.partition_columns = array(row, 18);
      facts.partition_strategy = char_at(row, 19, 0);
      facts.partition_key = array(row, 20);
      facts.partition_bound = text(row, 21);
      facts.populated = truth(row, 22);
    }
  }

  void add_columns(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      column_facts column;
      column.name = text(row, 1);
      column.type_schema = text(row, 2);
      column.type = text(row, 3);
      column.type_modifier = number<std::int32_t>(row, 4).value_or(-1);
      column.not_null = truth(row, 5);
      column.has_default = truth(row, 6);
      column.identity = char_at(row, 7, 0);
      column.generated = char_at(row, 8, 0);
      column.collation = text(row, 9);
      column.owned_sequence = full_name(row, 10);
      column.owned_sequence_type = text(row, 12);
      if (std::ranges::count(facts->partition_columns, column.name) > 0)
        column.dependents.emplace_back("partition key");
      facts->columns.push_back(std::move(column));
    }
  }

  void add_constraints(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      constraint_facts constraint;
      constraint.name = text(row, 1);
      constraint.kind = char_at(row, 2, 'c');
      constraint.validated = truth(row, 3);
      constraint.no_inherit = truth(row, 4);
      constraint.columns = array(row, 5);
      constraint.expression = check_expression(text(row, 6));
      constraint.referenced_oid = oid_at(row, 7);
      constraint.referenced = full_name(row, 8);
      constraint.index = text(row, 10);
      constraint.enforced = truth(row, 11);
      constraint.inherited = truth(row, 12);
      constraint.definition = text(row, 13);
      constraint.comment = text(row, 14);
      facts->constraints.push_back(std::move(constraint));
    }
  }

  void add_indexes(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      index_facts index;
      index.oid = oid_at(row, 1);
      index.schema = text(row, 2);
      index.name = text(row, 3);
      index.valid = truth(row, 4);
      index.ready = truth(row, 5);
      index.unique = truth(row, 6);
      index.primary = truth(row, 7);
      index.partitioned = truth(row, 8);
      index.constraint = text(row, 9);
      index.method = text(row, 10);
      index.columns = array(row, 11);
      index.mentions = array(row, 12);
      index.has_expressions = truth(row, 13);
      index.has_predicate = truth(row, 14);
      index.plain_order = truth(row, 15);
      index.default_opclass = truth(row, 16);
      index.definition = text(row, 17);
      index.comment = text(row, 18);
      facts->indexes.push_back(std::move(index));
    }
  }

  void add_children(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      facts->partitions.push_back(full_name(row, 1));
      if (truth(row, 3)) facts->default_partition = facts->partitions.back();
    }
  }

  void add_referencing(const text_rows& rows) {
    for (const text_row& row : rows)
      if (relation_facts* const facts = find(row))
        facts->referenced_by.push_back({full_name(row, 1), text(row, 3)});
  }

  void add_dependents(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      const std::string what = text(row, 2);
      const std::string name = full_name(row, 3);
      const std::string on = full_name(row, 5);
      if (what.ends_with("view") && std::ranges::count(facts->dependent_views, name) == 0)
        facts->dependent_views.push_back(name);
      const std::string column_name = text(row, 1);
      for (column_facts& column : facts->columns)
        if (column.name == column_name)
          column.dependents.push_back(what + " " + name + (on.empty() ? "" : " on " + on));
    }
  }

  void add_update_triggers(const text_rows& rows) {
    for (const text_row& row : rows)
      if (relation_facts* const facts = find(row))
        facts->update_triggers.push_back(text(row, 1) + " " + sql::quote_identifier(text(row, 2)));
  }

  void add_taken_names(const text_rows& rows) {
    for (const text_row& row : rows)
      if (relation_facts* const facts = find(row))
        (text(row, 1) == "relation" ? facts->taken.relations : facts->taken.constraints)
            .push_back(text(row, 2));
  }

  void add_publications(const text_rows& rows) {
    for (const text_row& row : rows) {
      relation_facts* const facts = find(row);
      if (!facts) continue;
      facts->published = true;
      const bool all_columns = row.size() < 2 || !row[1];
      const std::vector<std::string> names = array(row, 1);
      for (column_facts& column : facts->columns)
        if (all_columns || std::ranges::count(names, column.name) > 0) column.published = true;
    }
  }

  void add_sizes(const text_rows& rows) {
    std::map<oid, std::optional<std::int64_t>> sizes;
    for (const text_row& row : rows) sizes[oid_at(row, 0)] = number<std::int64_t>(row, 1);
    for (auto& [id, facts] : relations) {
      if (const auto size = sizes.find(id); size != sizes.end()) set_size(facts, size->second);
      for (index_facts& index : facts.indexes)
        if (const auto size = sizes.find(index.oid); size != sizes.end())
          index.bytes = size->second.value_or(0);
    }
  }

  void add_tree_sizes(const text_rows& rows) {
    for (const text_row& row : rows)
      if (relation_facts* const facts = find(row)) {
        facts->bytes = number<std::int64_t>(row, 1);
        facts->rows = number<double>(row, 2);
      }
  }

  void set_size(relation_facts& facts, std::optional<std::int64_t> bytes) const {
    facts.bytes = bytes;
    const auto estimate = estimates_.find(facts.oid);
    if (bytes && estimate != estimates_.end()) facts.rows = estimate->second.for_size(*bytes);
  }

  // Kinds without storage of their own: nothing to measure, and so nothing that could be big.
  void settle_kinds_without_storage() {
    constexpr std::string_view without_storage = "vfcI";
    for (auto& [id, facts] : relations) {
      const bool has_none = without_storage.find(facts.kind) != without_storage.npos ||
                            (facts.kind == 'p' && facts.partitions.empty());
      if (has_none && !facts.bytes) facts.bytes = 0;
    }
  }

 private:
  relation_facts* find(const text_row& row) {
    const auto found = relations.find(oid_at(row, 0));
    return found == relations.end() ? nullptr : &found->second;
  }

  std::map<oid, row_estimate> estimates_;
};

struct related {
  std::vector<oid> all;    // those that get facts
  std::vector<oid> trees;  // partitioned tables and inheritance parents among them
};

related decode_related(const text_rows& rows) {
  related found;
  for (const text_row& row : rows) {
    const oid id = oid_at(row, 0);
    found.all.push_back(id);
    const char kind = char_at(row, 1, 'r');
    if (kind == 'p' || (kind == 'r' && truth(row, 3))) found.trees.push_back(id);
  }
  return found;
}

void note(std::string& lacked, const sql_error& error, std::string_view what) {
  if (!lacked.empty()) return;
  lacked = std::string(what) + ": " + error.message;
}

// What the session knows and the control connection can't know.
void apply_session_view(relation_facts& facts, const resolved_relation& seen) {
  if (!seen.name.empty()) {
    facts.schema = seen.schema;
    facts.name = seen.name;
  }
  facts.hides_rows = seen.hides_rows;
  if (!seen.exclusively_locked_by_session) return;
  std::erase_if(facts.constraints, [](const constraint_facts& each) { return each.kind == 'c'; });
  for (const resolved_check& check : seen.checks) {
    constraint_facts constraint;
    constraint.name = check.name;
    constraint.validated = check.validated;
    constraint.no_inherit = check.no_inherit;
    constraint.columns = check.columns;
    constraint.expression = check_expression(check.definition);
    constraint.enforced = !check.definition.ends_with(" NOT ENFORCED");
    facts.constraints.push_back(std::move(constraint));
  }
}

relation_facts known_to_session_only(const resolved_relation& seen) {
  relation_facts facts;
  facts.oid = seen.oid;
  facts.schema = seen.schema;
  facts.name = seen.name;
  facts.kind = seen.kind;
  facts.persistence = seen.persistence;
  facts.bytes = seen.bytes;
  facts.new_in_transaction = true;
  apply_session_view(facts, seen);
  return facts;
}

class reading {
 public:
  reading(querier& source, const policies::fact_request& request, const resolved_names& names)
      : source_(source), request_(request), names_(names) {}

  asio::awaitable<facts> run() {
    result_.snapshot.available = true;
    result_.snapshot.server_version = names_.session.server_version;
    result_.snapshot.time_zone = names_.session.time_zone;
    result_.snapshot.search_path = names_.session.search_path;
    bind_functions();
    relations_known_ = co_await read_relations();
    bind_relations();
    bind_types();
    co_return std::move(result_);
  }

 private:
  // True when every relation the source can see has been read.
  asio::awaitable<bool> read_relations() {
    std::set<oid> named, domains;
    for (const auto& relation : names_.relations)
      if (relation) named.insert(relation->oid);
    for (const auto& type : names_.types)
      if (type && type->kind == 'd') domains.insert(type->oid);

    if (!domains.empty()) co_await read_domain_users(domains);
    std::set<oid> asked = named;
    if (request_.users_of_domains) asked.insert(using_domains_.begin(), using_domains_.end());

    related found;
    if (!asked.empty()) {
      command first = about(catalog_sql::related_relations, array_literal(asked));
      first.parameters.emplace_back(std::to_string(related_relations_limit + asked.size()));
      std::vector<command> commands;
      commands.push_back(std::move(first));
      const auto outcomes = co_await source_.run(std::move(commands));
      if (!outcomes.front()) {
        note(result_.lacked, outcomes.front().error(), "the gateway could not read the catalog");
        co_return false;
      }
      found = decode_related(outcomes.front()->rows);
    }
    if (found.all.empty()) co_return true;

    const std::string all = array_literal(found.all);
    const int version = names_.session.server_version;
    using adder = void (fact_table::*)(const text_rows&);
    // In the order in which they build on each other.
    const std::vector<std::pair<command, adder>> questions = {
        {about(catalog_sql::relations, all), &fact_table::add_relations},
        {about(catalog_sql::columns, all), &fact_table::add_columns},
        {about(catalog_sql::constraints(version), all), &fact_table::add_constraints},
        {about(catalog_sql::indexes, all), &fact_table::add_indexes},
        {about(catalog_sql::children, all), &fact_table::add_children},
        {about(catalog_sql::referencing, all), &fact_table::add_referencing},
        {about(catalog_sql::dependents, all), &fact_table::add_dependents},
        {about(catalog_sql::publications(version), all), &fact_table::add_publications},
        {about(catalog_sql::update_triggers, all), &fact_table::add_update_triggers},
        {about(catalog_sql::taken_names, array_literal(named)), &fact_table::add_taken_names},
    };
    std::vector<command> commands;
    for (const auto& [question, add] : questions) commands.push_back(question);
    const std::size_t sizes_at = commands.size();
    commands.push_back(about(catalog_sql::sizes, all));
    if (!found.trees.empty()) commands.push_back(about(catalog_sql::tree_sizes, array_literal(found.trees)));

    const auto outcomes = co_await source_.run(std::move(commands));
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (!outcomes[i]) {
        note(result_.lacked, outcomes[i].error(), "the gateway could not read the catalog");
        table_ = {};  // half the facts of a relation would pass for all of them
        co_return false;
      }
      (table_.*questions[i].second)(outcomes[i]->rows);
    }
    if (outcomes[sizes_at])
      table_.add_sizes(outcomes[sizes_at]->rows);
    else
      note(result_.lacked, outcomes[sizes_at].error(), "sizes could not be read");
    if (!found.trees.empty()) {
      if (outcomes[sizes_at + 1])
        table_.add_tree_sizes(outcomes[sizes_at + 1]->rows);
      else
        note(result_.lacked, outcomes[sizes_at + 1].error(), "sizes of partitions could not be read");
    }
    table_.settle_kinds_without_storage();
    co_return true;
  }

  // Where it can't be done the domains stay unknown: none of them may pass for one that nobody uses.
  asio::awaitable<void> read_domain_users(const std::set<oid>& domains) {
    std::vector<command> commands;
    commands.push_back(about(catalog_sql::domain_users, array_literal(domains)));
    const auto outcomes = co_await source_.run(std::move(commands));
    if (!outcomes.front()) {
      note(result_.lacked, outcomes.front().error(), "the users of a domain could not be read");
      co_return;
    }
    for (const text_row& row : outcomes.front()->rows) {
      domain_users_[oid_at(row, 0)].push_back(full_name(row, 1));
      if (using_domains_.size() < related_relations_limit) using_domains_.insert(oid_at(row, 3));
    }
    domains_known_ = true;
  }

  void bind_relations() {
    std::set<oid> named;
    for (std::size_t i = 0; i < request_.relations.size(); ++i) {
      const auto& seen = names_.relations[i];
      if (!seen) {
        result_.snapshot.bind_relation(request_.relations[i], std::nullopt);
        continue;
      }
      named.insert(seen->oid);
      const auto read = table_.relations.find(seen->oid);
      if (read == table_.relations.end()) {
        if (relations_known_)
          result_.snapshot.bind_relation(request_.relations[i], known_to_session_only(*seen));
        continue;
      }
      relation_facts facts = read->second;
      apply_session_view(facts, *seen);
      const bool is_tree = facts.kind == 'p' || !facts.partitions.empty();
      if (seen->bytes && !facts.bytes && !is_tree) table_.set_size(facts, seen->bytes);
      if (!facts.bytes && result_.lacked.empty())
        result_.lacked = "the size of " + facts.full_name() +
                         " could not be read: another session holds or awaits an ACCESS EXCLUSIVE lock on it";
      result_.snapshot.bind_relation(request_.relations[i], std::move(facts));
    }
    for (auto& [id, facts] : table_.relations) {
      if (named.contains(id)) continue;
      const sql::qualified_name name{.database = {}, .schema = facts.schema, .name = facts.name};
      if (result_.snapshot.relation(name).state == policies::presence::unknown)
        result_.snapshot.bind_relation(name, std::move(facts));
    }
  }

  void bind_types() {
    for (std::size_t i = 0; i < request_.types.size(); ++i) {
      if (request_.types[i].percent_type) continue;  // names a column, which the rules look up themselves
      const auto& seen = names_.types[i];
      if (!seen) {
        result_.snapshot.bind_type(request_.types[i], std::nullopt);
        continue;
      }
      type_facts facts;
      facts.schema = seen->schema;
      facts.name = seen->name;
      facts.kind = seen->kind;
      facts.domain_constrained = seen->domain_constrained;
      facts.volatile_default = seen->volatile_default;
      if (seen->kind == 'd') {
        if (!domains_known_) continue;
        facts.base_schema = seen->base_schema;
        facts.base = seen->base;
        facts.base_modifier = seen->base_modifier;
        facts.used_by = domain_users_[seen->oid];
      }
      result_.snapshot.bind_type(request_.types[i], std::move(facts));
    }
  }

  void bind_functions() {
    for (std::size_t i = 0; i < request_.functions.size(); ++i) {
      const auto& seen = names_.functions[i];
      std::optional<policies::function_facts> facts;
      if (seen)
        facts = policies::function_facts{seen->schema, seen->name, request_.functions[i].arguments,
                                         seen->volatility, seen->inlines_to_constant};
      result_.snapshot.bind_function(request_.functions[i], std::move(facts));
    }
  }

  querier& source_;
  const policies::fact_request& request_;
  const resolved_names& names_;
  facts result_;
  fact_table table_;
  std::map<oid, std::vector<std::string>> domain_users_;
  std::set<oid> using_domains_;  // tables
  bool relations_known_ = false;
  bool domains_known_ = false;
};

}  // namespace

asio::awaitable<facts> read_facts(querier& source, const policies::fact_request& request,
                                  const resolved_names& names) {
  reading all(source, request, names);
  co_return co_await all.run();
}

}  // namespace tidegate::control
