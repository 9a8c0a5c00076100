#pragma once
// The SQL of catalog_reader. Each takes $1, an array of oids, and says its columns in its comment; all names
// are qualified, so that they mean the same on any connection. Catalogs only: none locks a user's relation,
// sizes excepted.

#include <string>
#include <string_view>

namespace tidegate::control::catalog_sql {

// oid, relkind, rank (0: named or its table; 1: partition, child, parent; 2: foreign-key partner), has
// children; at most $2 rows, the lowest rank first.
extern const std::string_view related_relations;
// oid, schema, name, kind, persistence, reltuples, relpages, block size, tablespace, access method, owner,
// replica identity, row security, policies, parent's schema and name (of a partition), schema and name of the
// table (of an index), partition key columns, partition strategy, the column of each part of the key,
// partition bound, populated
extern const std::string_view relations;
// table, name, type's schema and name, typmod, not null, has default, identity, generated, collation, owned
// sequence's schema, name and type
extern const std::string_view columns;
// table, name, kind, validated, no inherit, columns, definition of a check, referenced oid, schema and name,
// index
std::string constraints(int server_version);
// table, oid, schema, name, valid, ready, unique, primary, partitioned, constraint, method, key columns,
// mentioned columns, has expressions, has predicate, plain order, default operator classes
extern const std::string_view indexes;
// parent, child's schema and name, is the default partition
extern const std::string_view children;
// referenced table, referencing schema, name, constraint
extern const std::string_view referencing;
// table, column (none: the table as a whole), what, schema, name, on what (schema, name)
extern const std::string_view dependents;
// table, published columns (none: all)
std::string publications(int server_version);
// relation, "trigger" or "rule", name: what an UPDATE of any column runs
extern const std::string_view update_triggers;
// relation, "relation" or "constraint", name beside it
extern const std::string_view taken_names;
// oid, pg_relation_size or none; of the relations and of their indexes
extern const std::string_view sizes;
// root, size of the tree or none, rows or none
extern const std::string_view tree_sizes;
// domain, schema, name of each table with a column of it (or of a domain over it)
extern const std::string_view domain_users;

}  // namespace tidegate::control::catalog_sql
