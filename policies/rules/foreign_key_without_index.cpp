// Deleting a referenced row, or changing its key, searches the referencing table: without an index on the
// referencing columns that is a scan for every row.
#include "policies/added_constraint.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>

namespace tidegate::policies {

const rule& foreign_key_without_index_rule();

namespace {

// The first columns of the index, in any order, are those of the key.
bool serves(const index_facts& index, const std::vector<std::string>& key) {
  if (!index.valid || index.has_predicate || index.columns.size() < key.size()) return false;
  return std::all_of(key.begin(), key.end(), [&](const std::string& column) {
    const auto end = index.columns.begin() + static_cast<std::ptrdiff_t>(key.size());
    return std::find(index.columns.begin(), end, column) != end;
  });
}

void check(const rule_input& input, findings& out) {
  for (const auto& added : added_constraints(input, sql::constraint_kind::foreign_key)) {
    if (!added.definition->referenced || input.history.created(added.statement->relation)) continue;
    const auto* table = added.table.facts;
    if (table && (table->new_in_transaction || table->fresh || table->persistence == 't')) continue;
    if (table && std::any_of(table->indexes.begin(), table->indexes.end(), [&](const index_facts& index) {
          return serves(index, added.definition->columns);
        }))
      continue;
    const std::string referenced = sql::quote_name(*added.definition->referenced);
    finding f = finding_on(foreign_key_without_index_rule(), added);
    f.message = "foreign key " + sql::quote_identifier(added.name) + " of " + added.table.sql +
                " has no index on its columns";
    f.detail = "Each DELETE from " + referenced + ", and each UPDATE of its key, will scan " +
               added.table.sql + "; " + size_in_words(added.table) + ".";
    if (!table) f.lacked_fact = "the indexes of " + added.table.sql;
    std::string columns;
    std::string names;
    for (const auto& column : added.definition->columns) {
      columns += (columns.empty() ? "" : ", ") + sql::quote_identifier(column);
      names += (names.empty() ? "" : "_") + column;
    }
    advise(f, {"CREATE INDEX CONCURRENTLY " + sql::quote_identifier(object_name(added.table, names, "idx")) +
               " ON " + added.table.sql + " (" + columns + ");"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& foreign_key_without_index_rule() {
  static constexpr rule r{"foreign-key-without-index",
                          "without an index on its columns a foreign key makes deletes of the parent scan",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
