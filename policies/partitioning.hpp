#pragma once
// Partition bounds: whether a table's constraints prove them, so that ATTACH PARTITION looks at no row, and
// the SQL that says them (the recipe F12 in docs/rules.md). Pure.

#include "policies/remedy.hpp"
#include "policies/subject.hpp"

#include <string>

namespace tidegate::policies {

// The valid CHECKs and NOT NULL of `table` prove that every row of it belongs into the partition with this
// bound: for DEFAULT, into no other partition. Claims no more than PostgreSQL's own proof finds: keys of one
// plain column, constants whose order is certain.
bool proves_bound(const relation_facts& table, const relation_facts& parent,
                  const sql::partition_bound& bound, const catalog_snapshot& catalog);

// "at IS NOT NULL AND at >= '2025-01-01' AND at < '2026-01-01'"; "…" where it can't be said in a few words.
std::string bound_sql(const relation_facts* parent, const sql::partition_bound& bound);

// A CHECK that is added and validated while reads and writes go on. The name is not quoted.
steps proof_steps(const std::string& table_sql, const std::string& constraint, const std::string& condition);

// The CREATE TABLE that makes the partition as a table by itself, to be attached afterwards.
std::string create_apart_sql(const sql::create_table& create, const subject& parent);

// A new partition makes PostgreSQL scan the default partition for its rows, unless constraints exclude them.
struct default_scan {
  std::string partition;  // "schema.name"; empty: there is no such scan
  const relation_facts* facts = nullptr;
  steps before, after;  // what makes the scan unnecessary, and takes the CHECK off again
};
default_scan default_scan_of(const subject& parent, const sql::partition_bound& bound,
                             const catalog_snapshot& catalog);

}  // namespace tidegate::policies
