// PRIMARY KEY USING INDEX is instant only when every column is NOT NULL already, or a valid CHECK says so;
// else the table is scanned under ACCESS EXCLUSIVE.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tidegate::policies {

const rule& add_primary_key_nullable_column_rule();

namespace {

// Columns that may hold NULL as far as is known.
std::vector<std::string> nullable_columns(const relation_facts& table, const index_facts& index,
                                          int server_version) {
  std::vector<std::string> nullable;
  std::copy_if(index.columns.begin(), index.columns.end(), std::back_inserter(nullable),
               [&](const std::string& column) { return !is_known_not_null(table, column, server_version); });
  return nullable;
}

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::primary_key)) {
    const std::string& index_name = added.definition->using_index;
    if (index_name.empty()) continue;
    const auto* table = added.table.facts;
    const auto* index = table ? table->index(index_name) : nullptr;
    if (table && !index && added.table.alone) continue;  // PostgreSQL says that there is no such index
    const int version = input.catalog.server_version;
    const auto nullable = index ? nullable_columns(*table, *index, version) : std::vector<std::string>{};
    if (index && nullable.empty()) continue;

    finding f = finding_on(add_primary_key_nullable_column_rule(), added);
    f.message = "making index " + sql::quote_identifier(index_name) + " the primary key of " +
                added.table.sql + " scans the table for NULLs";
    f.detail = detail_of(f.lock, added.table, "every row is looked at for NULLs");
    steps safe;
    for (const auto& column : nullable) {
      auto more = set_not_null_steps(added.table, column, version);
      std::move(more.begin(), more.end(), std::back_inserter(safe));
    }
    if (!nullable.empty()) f.column = nullable.front();
    if (!index) {
      f.lacked_fact = "whether the columns of index " + sql::quote_identifier(index_name) + " are NOT NULL";
      safe.push_back("-- SET NOT NULL on each column of the index, by way of a validated CHECK");
    }
    safe.push_back(
        "ALTER TABLE " + added.table.sql + " ADD CONSTRAINT " +
        sql::quote_identifier(added.definition->name.empty() ? index_name : added.definition->name) + " " +
        added.text + ";");
    advise(f, std::move(safe));
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& add_primary_key_nullable_column_rule() {
  static constexpr rule r{"add-primary-key-nullable-column",
                          "a primary key over a column that may be NULL scans the table, USING INDEX or not",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
