#pragma once
// Facts of a database that rules decide by, as values. proxy/control/catalog_reader fills them from a live
// server, test cases from text. A snapshot belongs to one decision: it is read fresh and never shared between
// statements.

#include "policies/sql/statement.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::policies {

struct column_facts {
  std::string name;
  std::string type_schema, type;    // pg_type's own names: "pg_catalog", "int4"; arrays "_int4"
  std::int32_t type_modifier = -1;  // pg_attribute.atttypmod: varchar(20) is 24
  bool not_null = false;
  bool has_default = false;
  char identity = 0;                    // 0, 'a'lways, 'd' by default
  char generated = 0;                   // 0, 's'tored, 'v'irtual
  std::string collation;                // name; empty: not collatable
  std::string owned_sequence;           // "schema.name", of serial and identity columns
  std::string owned_sequence_type;      // "int4"
  std::vector<std::string> dependents;  // what forbids a type change: "view public.v", "policy p on t",
                                        // "partition key", "generated column g", …
  bool published = false;
};

struct constraint_facts {
  std::string name;
  char kind = 'c';  // pg_constraint.contype: c check, f foreign key, p primary, u unique, x exclusion, n not
                    // null (18), t trigger
  bool validated = true;
  bool enforced = true;
  bool no_inherit = false;
  bool inherited = false;  // from a parent, with which alone it goes
  std::vector<std::string> columns;
  std::string expression;  // of a check: pg_get_expr
  std::string definition;  // of a foreign key: pg_get_constraintdef, its names as the reader finds them
  std::string referenced;  // of a foreign key: "schema.name"
  std::uint32_t referenced_oid = 0;
  std::string index;  // of p, u, x: name; of a foreign key that of the other table by which it finds its rows
  std::string comment;
};

struct index_facts {
  std::uint32_t oid = 0;
  std::string schema, name;
  bool valid = true;
  bool ready = true;
  bool unique = false;
  bool primary = false;
  bool partitioned = false;
  std::string constraint;  // that it belongs to; empty: none
  std::string method = "btree";
  std::vector<std::string> columns;   // key columns in order; an expression leaves an empty string
  std::vector<std::string> mentions;  // every column in keys, expressions and predicate
  bool has_expressions = false;
  bool has_predicate = false;
  bool plain_order = true;      // no DESC, NULLS FIRST, other opclass or collation: fit for USING INDEX
  bool default_opclass = true;  // of every key column: false for text_pattern_ops and the like
  std::string
      definition;  // pg_get_indexdef, names qualified; empty: not all that it is could be made from it
  std::string comment;
  std::int64_t bytes = 0;
};

// Names in the schema of a relation that begin like its own: what PostgreSQL steps around when it chooses a
// name for a constraint, an index or a sequence of it.
struct taken_names {
  std::vector<std::string> relations, constraints;
};

// A foreign key of another relation that points here.
struct referencing_facts {
  std::string relation;  // "schema.name"
  std::string constraint;
};

struct relation_facts {
  std::uint32_t oid = 0;
  std::string schema, name;
  char kind = 'r';                    // pg_class.relkind
  char persistence = 'p';             // p, u, t
  std::optional<std::int64_t> bytes;  // pg_relation_size; none: could not be read in time, counts as big
  std::optional<double> rows;         // estimate; none: never analysed
  bool new_in_transaction = false;    // made by this open transaction: nobody else can see it
  bool fresh =
      false;  // made through this gateway by the same user and application, untouched by others since
  std::vector<column_facts> columns;
  std::vector<constraint_facts> constraints;
  std::vector<index_facts> indexes;
  std::vector<referencing_facts> referenced_by;
  std::string index_table;              // of an index: its table "schema.name"
  std::string parent;                   // of a partition: "schema.name"
  std::vector<std::string> partitions;  // direct children
  std::string default_partition;
  std::vector<std::string> partition_columns;  // in any part of the key
  char partition_strategy = 0;                 // pg_partitioned_table.partstrat: r, l, h
  std::vector<std::string> partition_key;      // a column for each part of the key; empty: an expression
  std::string partition_bound;                 // of a partition: "FOR VALUES …", "DEFAULT"
  bool populated = true;                       // of a materialized view
  std::vector<std::string> dependent_views;    // views and matviews over it
  std::string tablespace;                      // empty: not known
  std::string access_method;
  std::string owner;
  bool published = false;
  char replica_identity = 'd';
  bool row_security = false;
  bool hides_rows = false;  // row security holds for the session's own role
  int policies = 0;
  taken_names taken;
  std::vector<std::string> update_triggers;  // "trigger t", "rule r": what an UPDATE of any column runs

  const column_facts* column(std::string_view column_name) const;
  const constraint_facts* constraint(std::string_view constraint_name) const;
  const index_facts* index(std::string_view index_name) const;
  std::string full_name() const;  // "schema.name", quoted where needed
};

struct type_facts {
  std::string schema, name;
  char kind = 'b';  // pg_type.typtype: b base, d domain, e enum, c composite, r range, m multirange, p pseudo
  std::string base_schema, base;  // of a domain, down to the base type
  std::int32_t base_modifier = -1;
  bool domain_constrained = false;   // NOT NULL or CHECK, at any level
  bool volatile_default = false;     // of a domain: each row gets a value of its own
  std::vector<std::string> used_by;  // of a domain: "schema.table" of the tables with a column of it
};

struct function_facts {
  std::string schema, name;
  int arguments = 0;                 // as called
  char volatility = 'v';             // the worst of the candidates: i, s, v
  bool inlines_to_constant = false;  // LANGUAGE sql whose body is a constant (hazards §0.9)
};

enum class presence { known, missing, unknown };  // unknown: no facts at all, or not read

template <class T>
struct lookup {
  presence state = presence::unknown;
  const T* facts = nullptr;  // set when known

  explicit operator bool() const { return facts != nullptr; }
  const T* operator->() const { return facts; }
};

class catalog_snapshot {
 public:
  bool available = false;                // false: no database to ask (check without --database)
  int server_version = 150000;           // server_version_num
  std::string time_zone = "UTC";         // of the session
  std::vector<std::string> search_path;  // effective, with pg_catalog where it stands

  // Names as written in the statement are bound to what they resolved to; an unresolved name is bound to
  // nothing.
  void bind_relation(const sql::qualified_name& written, std::optional<relation_facts> facts);
  void bind_type(const sql::type_name& written, std::optional<type_facts> facts);
  void bind_function(const sql::function_call& written, std::optional<function_facts> facts);
  // Unknown again, whatever it was bound to.
  void forget_relation(const sql::qualified_name& written);
  // The same of every name without a schema, but for what is pg_catalog's, and of the search_path.
  void forget_unqualified();

  lookup<relation_facts> relation(const sql::qualified_name& written) const;
  lookup<type_facts> type(const sql::type_name& written) const;
  lookup<function_facts> function(const sql::function_call& written) const;
  // By "schema.name" as facts spell it (partitions, referenced tables), when it was read as well.
  lookup<relation_facts> relation_by_full_name(std::string_view full_name) const;

 private:
  using name_key = std::pair<std::string, std::string>;
  std::map<name_key, std::optional<relation_facts>> relations_;
  std::map<name_key, std::optional<type_facts>> types_;
  std::map<std::pair<name_key, int>, std::optional<function_facts>> functions_;
};

}  // namespace tidegate::policies
