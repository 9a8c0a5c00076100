#pragma once
// What ALTER COLUMN … TYPE costs: whether PostgreSQL can keep the stored rows, whether the indexes stay fit,
// whether values may be lost. The rules are those of ATColumnChangeRequiresRewrite() and of the planner's
// support functions for length coercions (PostgreSQL 12 to 18); hazards measured on 15 pair by pair
// (tests/unit/policies/type_change.cpp). Pure.

#include "policies/catalog.hpp"
#include "policies/sql/statement.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace tidegate::policies {

// A type as pg_attribute keeps it: arrays are "_int4", varchar(20) has the modifier 24.
struct stored_type {
  std::string schema, name;
  std::int32_t modifier = -1;

  friend bool operator==(const stored_type&, const stored_type&) = default;
};

// As one would write it: "varchar(20)", "numeric(10,2)", "bigint", "text[]".
std::string in_words(const stored_type& type);

// The type that a written name stands for. With the catalog what it resolves to; without it built-in names
// only. None: a type that is not known.
std::optional<stored_type> resolve(const sql::type_name& written, const catalog_snapshot& catalog);
// A name of pg_catalog, or of a well-known extension: no domain.
bool is_well_known(const sql::type_name& written);

struct type_change {
  bool rewrites = false;         // every row and every index is written anew
  bool changes_indexes = false;  // no rewrite, but a plain index on the column no longer fits: other opclass
  bool narrows = false;          // values may not fit: an error at run time, or digits lost
  bool visible = false;          // clients see another type or modifier: prepared statements fail once
  std::string from, to;          // in words; from is empty when not known
  std::string lacked_fact;       // set when the worst was assumed
};

// Of one ALTER COLUMN … TYPE; `column` is null when its facts are not to be had, `written_column` names it in
// words ("orders.qty").
type_change change_of(const sql::alter_command& command, const column_facts* column,
                      const catalog_snapshot& catalog, const std::string& written_column);

}  // namespace tidegate::policies
