#pragma once
// How often a default must be evaluated when a column is added: once for all rows (immutable and stable: the
// catalog keeps the value, no rewrite) or for each row (volatile: the table is rewritten). From the catalog
// where it is to be had, else from the names of built-in functions. Pure.

#include "policies/catalog.hpp"
#include "policies/sql/statement.hpp"

#include <string>

namespace tidegate::policies {

struct volatility {
  bool is_volatile = false;
  std::string because;      // the function that decides, as "random()"; empty: nothing volatile
  std::string lacked_fact;  // set when volatility was assumed: "the volatility of f()"
};

volatility volatility_of(const sql::expression& value, const catalog_snapshot& catalog);

// Of what a new column is filled with: its own default, else that of its domain. (PostgreSQL 12 leaves the
// rows that are there NULL in spite of a domain's default.)
volatility volatility_of(const sql::column_definition& column, const catalog_snapshot& catalog);

}  // namespace tidegate::policies
