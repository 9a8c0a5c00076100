#pragma once
// What a statement says, as plain values: the part of PostgreSQL's parse tree that decides what a statement
// locks, scans, rewrites or loses. parse.hpp makes them; rules, the guard and the session read them. Nothing
// here knows libpg_query.
//
// Names are spelled as PostgreSQL keeps them: unquoted names folded to lower case, U&"" escapes resolved.
// Positions are byte offsets into the query string that was parsed (0-based; -1: unknown).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tidegate::sql {

using position = std::int32_t;

struct text_range {
  position begin = 0;
  position end = 0;  // one past the last byte

  // Of the query string; what lies outside of it is left out.
  std::string_view in(std::string_view text) const;
};

// A possibly qualified name; empty parts were not written.
struct qualified_name {
  std::string database;
  std::string schema;
  std::string name;
  position at = -1;

  friend bool operator==(const qualified_name& a, const qualified_name& b) {
    return a.schema == b.schema && a.name == b.name;
  }
};

struct type_name {
  std::string schema;                   // "pg_catalog" for the grammar's own spellings (int, varchar, …)
  std::string name;                     // "int4", "varchar", "serial", or a user's type
  std::vector<std::int64_t> modifiers;  // varchar(20): {20}; numeric(10,2): {10, 2}
  int array_dimensions = 0;
  bool percent_type = false;  // t.c%TYPE
  std::string text;           // as written
  position at = -1;
};

struct function_call {
  std::string schema;
  std::string name;
  int arguments = 0;
  std::vector<std::optional<std::string>>
      constant_arguments;  // the value of each argument that is a plain constant
  position at = -1;
};

// A string constant in a text: what it says and the type it is cast to, where it is.
struct typed_literal {
  std::string value;
  type_name type;
};

enum class expression_shape {
  constant,       // a literal, possibly cast
  null_constant,  // NULL, possibly cast: no default at all
  column,         // a bare column reference
  cast_column,    // a column reference under casts only; `casts` has them from the inside out
  other,
};

// Facts of an expression. The tree itself stays in the parser; `text` is the spelling in the query.
struct expression {
  expression_shape shape = expression_shape::other;
  text_range range;
  std::string text;
  std::vector<function_call> functions;  // every function called by name, at any depth
  std::vector<std::string> operators;    // every operator used, at any depth
  std::vector<std::string> columns;      // last part of every column reference
  std::vector<type_name> casts;          // every explicit cast, at any depth
  std::vector<typed_literal> literals;   // every string constant under an explicit cast, at any depth
  std::vector<std::string>
      proves_not_null;  // columns that can't be NULL where this is true and not null (hazards §0.5)
  bool has_sql_value_function = false;  // current_user, current_timestamp, …: all STABLE
  bool has_subquery = false;
};

enum class constraint_kind {
  not_null,
  null_allowed,
  default_value,
  identity,
  generated_stored,
  generated_virtual,
  check,
  unique,
  primary_key,
  exclusion,
  foreign_key,
};

struct constraint_definition {
  constraint_kind kind = constraint_kind::check;
  std::string name;                   // empty: PostgreSQL will choose
  std::optional<expression> value;    // check, default_value, generated_*
  std::vector<std::string> columns;   // key columns, or the referencing columns
  std::vector<std::string> included;  // INCLUDE (…)
  std::optional<qualified_name> referenced;
  std::vector<std::string> referenced_columns;
  std::string using_index;  // UNIQUE | PRIMARY KEY USING INDEX
  bool not_valid = false;
  bool not_enforced = false;
  bool no_inherit = false;
  bool deferrable = false;
  bool initially_deferred = false;
  bool nulls_not_distinct = false;
  bool identity_always = false;
  text_range range;
};

struct column_definition {
  std::string name;
  type_name type;
  std::string collation;  // empty: not written
  std::vector<constraint_definition> constraints;
  text_range range;

  bool is_serial() const;  // smallserial | serial | bigserial and their aliases
  const constraint_definition* find(constraint_kind kind) const;
};

enum class object_kind {
  table,
  view,
  materialized_view,
  index,
  sequence,
  foreign_table,
  composite_type,
  column,
  constraint,
  type,
  domain,
  schema,
  database,
  function,
  aggregate,
  trigger,
  rule,
  policy,
  extension,
  publication,
  subscription,
  statistics,
  role,
  tablespace,
  collation,
  event_trigger,
  language,
  operator_,
  cast,
  foreign_server,
  other,
};

enum class alter_action {
  add_column,
  drop_column,
  alter_type,
  set_default,
  drop_default,
  set_not_null,
  drop_not_null,
  set_expression,
  drop_expression,
  set_statistics,
  set_column_options,
  set_storage,
  set_compression,
  add_identity,
  change_identity,
  drop_identity,
  add_constraint,
  drop_constraint,
  alter_constraint,
  validate_constraint,
  cluster_on,
  set_without_cluster,
  set_logged,
  set_unlogged,
  set_access_method,
  set_tablespace,
  set_options,
  reset_options,
  enable_trigger,
  disable_trigger,
  enable_rule,
  disable_rule,
  inherit,
  no_inherit,
  of_type,
  not_of,
  owner_to,
  replica_identity,
  enable_row_security,
  disable_row_security,
  force_row_security,
  no_force_row_security,
  attach_partition,
  detach_partition,
  detach_partition_finalize,
  other,
};

enum class bound_kind { value, null, minvalue, maxvalue, expression };

struct bound_value {
  bound_kind what = bound_kind::value;
  std::string text;  // the constant's value; of an expression its spelling
};

// FOR VALUES … of a partition, or DEFAULT.
struct partition_bound {
  char strategy = 0;                      // pg_partitioned_table.partstrat: r, l, h; 0: DEFAULT
  std::vector<bound_value> lower, upper;  // r: FROM and TO, one for each key column
  std::vector<bound_value> values;        // l: IN
  std::string text;                       // as written
};

struct storage_option {
  std::string name;
  std::string value;
};

struct alter_command {
  alter_action action = alter_action::other;
  std::string name;            // column, constraint, trigger, index, role, tablespace…
  bool if_exists = false;      // DROP … IF EXISTS
  bool if_not_exists = false;  // ADD COLUMN IF NOT EXISTS
  bool cascade = false;
  bool concurrently = false;                        // DETACH PARTITION … CONCURRENTLY
  bool all = false;                                 // ENABLE/DISABLE TRIGGER ALL (or USER)
  bool user_only = false;                           // … USER: those of constraints left out
  char replica_identity = 0;                        // pg_class.relreplident: d, f, i, n
  std::optional<column_definition> column;          // add_column; alter_type (type and collation)
  std::optional<constraint_definition> constraint;  // add_constraint, alter_constraint
  std::optional<expression> value;                  // set_default, alter_type USING, set_expression
  std::optional<qualified_name> partition;          // attach/detach; inherit: the parent
  std::optional<partition_bound> bound;             // attach_partition of a table
  std::vector<storage_option> options;
  text_range range;
};

struct alter_table {
  object_kind kind =
      object_kind::table;  // table, index, view, materialized_view, sequence, foreign_table, composite_type
  qualified_name relation;
  bool only = false;
  bool if_exists = false;
  std::vector<alter_command> commands;
};

struct move_all_in_tablespace {  // ALTER TABLE|INDEX|MATERIALIZED VIEW ALL IN TABLESPACE a SET TABLESPACE b
  object_kind kind = object_kind::table;
  std::string from, to;
};

struct rename {
  object_kind kind = object_kind::table;  // what is renamed; column, constraint, trigger, …: of `relation`
  object_kind relation_kind =
      object_kind::table;   // what the statement called the relation (ALTER INDEX t RENAME names a table)
  qualified_name relation;  // the relation, or the object itself for types, schemas, …
  std::string from;         // column, constraint, … ; else the object's own name
  std::string to;
  bool if_exists = false;
  bool cascade = false;
};

struct set_schema {
  object_kind kind = object_kind::table;
  qualified_name object;
  std::string to;
  bool if_exists = false;
};

struct create_table {
  qualified_name relation;
  bool if_not_exists = false;
  bool temporary = false;
  bool unlogged = false;
  std::vector<column_definition> columns;
  std::vector<constraint_definition> constraints;
  std::optional<qualified_name> partition_of;
  std::optional<partition_bound> bound;
  std::string behind_bound;  // PARTITION BY, WITH, TABLESPACE as written, of a partition
  bool partitioned = false;  // PARTITION BY
  std::vector<qualified_name> inherits;
  std::vector<qualified_name> like;
  std::vector<storage_option> options;  // WITH (…)
  bool foreign = false;
};

struct create_table_as {  // CREATE TABLE … AS, CREATE MATERIALIZED VIEW, SELECT … INTO
  qualified_name relation;
  bool if_not_exists = false;
  bool temporary = false;
  bool materialized_view = false;
  bool select_into = false;
  bool with_no_data = false;
  std::vector<qualified_name> sources;  // every relation that its query reads
  bool narrowed = false;                // by WHERE, LIMIT, GROUP BY or DISTINCT: maybe not all of their rows
};

struct create_index {
  std::string name;  // empty: PostgreSQL will choose
  qualified_name relation;
  bool only = false;
  bool concurrently = false;
  bool unique = false;
  bool if_not_exists = false;
  std::string method;                // btree unless written
  std::vector<std::string> columns;  // plain columns, in order; an expression leaves an empty string
  std::vector<expression> expressions;
  std::vector<std::string> column_names;  // of the index, included ones too, as PostgreSQL names them
  std::optional<expression> where;
  position after_index = -1;  // just behind the keyword INDEX: where CONCURRENTLY belongs
};

struct view_column {
  std::string name;  // empty: not told by the text
  type_name type;    // of a cast around the whole column; without name: none
};

struct create_view {
  qualified_name relation;
  bool replace = false;
  bool temporary = false;
  std::vector<view_column> columns;  // in order, up to the first *
  bool has_all_columns = false;      // no * among them
};

struct drop {
  object_kind kind = object_kind::table;
  std::vector<qualified_name> objects;  // for trigger, rule, policy: the relation they are on
  std::vector<std::string> names;  // for trigger, rule, policy, …: their own names, parallel to objects
  bool if_exists = false;
  bool cascade = false;
  bool concurrently = false;
  position after_kind = -1;  // just behind the keyword INDEX: where CONCURRENTLY belongs
};

struct drop_owned {
  std::vector<std::string> roles;
  bool cascade = false;
};

struct drop_database {
  std::string name;
  bool if_exists = false;
};

enum class reindex_target { index, table, schema, system, database };

struct reindex {
  reindex_target target = reindex_target::table;
  qualified_name relation;  // index or table; schema, system, database: `name`
  bool concurrently = false;
  bool verbose = false;
  position after_target = -1;  // just behind INDEX|TABLE|SCHEMA|DATABASE: where CONCURRENTLY belongs
};

struct cluster {
  std::optional<qualified_name> relation;  // none: every table clustered before
  std::string index;
};

struct vacuum {
  bool is_vacuum = true;  // false: plain ANALYZE
  bool full = false;
  std::vector<qualified_name> relations;  // none: all
};

struct truncate {
  std::vector<qualified_name> relations;
  bool cascade = false;
  bool restart_identity = false;
};

struct lock_table {
  std::vector<qualified_name> relations;
  int mode = 8;  // LOCKMODE numbers of PostgreSQL: 1 ACCESS SHARE … 8 ACCESS EXCLUSIVE
  bool nowait = false;
};

struct refresh_materialized_view {
  qualified_name relation;
  bool concurrently = false;
  bool with_no_data = false;
};

enum class alter_domain_action {
  set_default,
  drop_default,
  set_not_null,
  drop_not_null,
  add_constraint,
  drop_constraint,
  validate_constraint
};

struct alter_domain {
  alter_domain_action action = alter_domain_action::set_default;
  qualified_name domain;
  std::string name;
  std::optional<constraint_definition> constraint;
  bool if_exists = false;
  bool cascade = false;
};

struct alter_enum {
  qualified_name type;
  bool rename = false;  // RENAME VALUE; else ADD VALUE
  std::string value, old_value;
  bool if_not_exists = false;
  bool has_position = false;  // BEFORE | AFTER
};

struct create_enum {
  qualified_name type;
};

enum class set_form { set, set_default, from_current, reset, reset_all, multi };

struct variable_set {
  set_form form = set_form::set;
  std::string name;   // lower case; for multi "TRANSACTION" | "SESSION CHARACTERISTICS"
  std::string value;  // the constants as SET takes them, joined by ", "
  bool local = false;
};

struct alter_role_set {  // ALTER ROLE | DATABASE … SET | RESET
  std::string role;      // empty: ALL
  std::string database;  // empty: not written
  variable_set setting;
};

struct alter_system {
  variable_set setting;
};

enum class discard_target { all, plans, sequences, temp };

struct discard {
  discard_target target = discard_target::all;
};

enum class transaction_action {
  begin,
  commit,
  rollback,
  savepoint,
  release,
  rollback_to,
  prepare,
  commit_prepared,
  rollback_prepared,
};

struct transaction {
  transaction_action action = transaction_action::begin;
  std::string name;  // savepoint or gid
  bool chain = false;
};

enum class on_relation_verb { create, alter, drop, comment };

// CREATE TRIGGER, POLICY, RULE, STATISTICS; COMMENT ON; ALTER POLICY: small statements about one relation.
struct on_relation {
  on_relation_verb verb = on_relation_verb::create;
  object_kind kind = object_kind::trigger;
  qualified_name relation;  // empty name: not about a relation (COMMENT ON SCHEMA …)
  std::string name;
  bool replace = false;
};

enum class dml_kind { select, insert, update, delete_, merge, values };

struct statement;

// An UPDATE or DELETE that no WHERE keeps from any row: there is none, or it is true whatever the row is.
struct whole_change {
  dml_kind kind = dml_kind::update;
  qualified_name relation;
  bool only = false;
  bool has_where = false;
  bool plain = false;  // the statement is nothing but that: no FROM, USING, WITH, WHERE or RETURNING
};

// SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, TABLE; also as the body of PREPARE, EXPLAIN, COPY (…),
// DECLARE.
struct query {
  dml_kind kind = dml_kind::select;
  std::vector<qualified_name> relations;  // every relation named anywhere, CTE names left out
  std::vector<qualified_name> targets;    // relations written: of the statement and of data-modifying CTEs
  std::vector<function_call> functions;   // every function called anywhere
  std::vector<whole_change> whole_changes;
  std::vector<typed_literal> literals;  // every string constant under an explicit cast
  bool inserts_query = false;           // INSERT of what a query returns, not of VALUES
  bool sets_settings = false;           // UPDATE pg_settings
};

struct copy {
  std::optional<qualified_name> relation;
  bool from = false;  // COPY … FROM
  bool program = false;
  std::optional<query> body;
};

struct do_block {
  std::string language;
  std::vector<statement>
      statements;  // the static SQL found in a plpgsql body; EXECUTE of a constant string is parsed too.
                   // Their positions and ranges are -1: the body's text is not the query string's
  bool has_dynamic_sql = false;    // EXECUTE of something that can't be read
  bool opaque = false;             // another language, or a body that did not parse
  bool has_loop_with_dml = false;  // hazards §7
  bool commits = false;
};

struct create_function {
  qualified_name name;
  bool procedure = false;
  std::string language;
  std::vector<statement> statements;  // the SQL found in a body in SQL or PL/pgSQL, as for DO; nothing of it
                                      // runs now
};

struct prepare {
  std::string name;
  std::unique_ptr<statement> body;
};

struct execute {
  std::string name;
};

struct explain {
  bool analyze = false;
  std::unique_ptr<statement> body;
};

struct create_schema {
  std::string name;
  std::vector<statement> elements;
};

struct call {
  function_call function;
};

// GRANT, REVOKE, ALTER DEFAULT PRIVILEGES.
struct privilege_change {
  bool grant = true;
  bool of_role = false;                   // membership in the roles `objects`
  bool by_default = false;                // of what will be made later
  std::vector<std::string> privileges;    // lower case; empty: all of them
  object_kind kind = object_kind::table;  // of the objects
  bool all_in_schema = false;             // ON ALL TABLES IN SCHEMA: `objects` are schemas
  std::vector<qualified_name> objects;
  std::vector<std::string> grantees;  // "public" is PUBLIC
  bool to_public = false;
  bool with_option = false;  // WITH GRANT | ADMIN OPTION; REVOKE … OPTION FOR
};

enum class publication_action { create, add, drop, set, options };

struct publication_change {  // CREATE | ALTER PUBLICATION
  publication_action action = publication_action::create;
  std::string name;
  bool all_tables = false;
  std::vector<qualified_name> relations;
};

// Everything else: `node` is the parser's name of it ("GrantStmt"), `tag` in the statement the words of the
// command. "Unparsed": a statement that the parser can't read but that is certainly harmless (parse.hpp).
struct other_statement {
  std::string node;
  bool ddl = false;  // it changes the catalog
  std::string name;  // of the object, where it has a plain one
  std::vector<qualified_name> relations;
  object_kind kind = object_kind::other;
};

using statement_node =
    std::variant<other_statement, query, alter_table, move_all_in_tablespace, rename, set_schema,
                 create_table, create_table_as, create_index, create_view, drop, drop_owned, drop_database,
                 reindex, cluster, vacuum, truncate, lock_table, refresh_materialized_view, alter_domain,
                 alter_enum, create_enum, privilege_change, publication_change, variable_set, alter_role_set,
                 alter_system, discard, transaction, on_relation, copy, do_block, create_function, prepare,
                 execute, explain, create_schema, call>;

struct statement {
  statement_node node;
  text_range range;  // of the statement in the query string, leading blanks and comments left out, without
                     // the semicolon
  std::string_view tag;  // "ALTER TABLE", "CREATE INDEX": static storage
  bool ddl = false;  // it may change the catalog, or take a lock stronger than DML's on a table (VACUUM FULL,
                     // LOCK, …)

  template <class T>
  const T* as() const {
    return std::get_if<T>(&node);
  }
};

}  // namespace tidegate::sql
