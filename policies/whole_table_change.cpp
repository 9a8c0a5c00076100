#include "policies/whole_table_change.hpp"

#include "policies/sql/quote.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace tidegate::policies {
namespace {

constexpr std::size_t longest_quoted_statement = 200;

const sql::query* query_of(const sql::statement& statement) {
  if (const auto* copy = statement.as<sql::copy>()) return copy->body ? &*copy->body : nullptr;
  return statement.as<sql::query>();
}

// The only column of the primary key; null: there is none, or it is not known.
const column_facts* key_of(const subject& table) {
  if (!table.facts) return nullptr;
  for (const auto& index : table.facts->indexes)
    if (index.primary && index.columns.size() == 1) return table.facts->column(index.columns.front());
  return nullptr;
}

bool counts(const column_facts& column) {
  return column.type == "int2" || column.type == "int4" || column.type == "int8";
}

// The statement as it was written, where nothing needs to be put in front of its end.
std::string beginning_of(const rule_input& input, const sql::whole_change& change, const subject& table) {
  const auto range = input.statement.range;
  if (change.plain && range.begin >= 0 && range.end > range.begin) {
    const auto text = input.text.substr(static_cast<std::size_t>(range.begin),
                                        static_cast<std::size_t>(range.end - range.begin));
    const bool short_enough = text.size() <= longest_quoted_statement;
    const bool commented = text.find("--") != text.npos || text.find("/*") != text.npos;
    if (short_enough && !commented) return std::string(text);
  }
  return "UPDATE " + table.sql + " SET …";
}

std::string in_batches(const rule_input& input, const sql::whole_change& change, const subject& table) {
  const auto* key = key_of(table);
  const std::string name = key ? sql::quote_identifier(key->name) : "";
  if (change.kind == sql::dml_kind::delete_) {
    const std::string rows = key ? name + " IN (SELECT " + name : "ctid = ANY (ARRAY(SELECT ctid";
    return "DELETE FROM " + table.sql + " WHERE " + rows + " FROM " + table.sql + " LIMIT 10000)" +
           (key ? "" : ")") + ";  -- again until none is left, COMMIT after each";
  }
  const std::string update = beginning_of(input, change, table) + " WHERE ";
  if (key && counts(*key))
    return update + name + " BETWEEN 1 AND 10000;  -- then 10001 to 20000 and so on, COMMIT after each";
  return update + (key ? name : std::string("…")) + " BETWEEN … AND …;  -- range by range, COMMIT after each";
}

}  // namespace

void report_whole_changes(const rule_input& input, const rule& by, sql::dml_kind kind, findings& out) {
  const sql::query* query = query_of(input.statement);
  if (!query) return;
  const bool update = kind == sql::dml_kind::update;
  for (const auto& change : query->whole_changes) {
    if (change.kind != kind) continue;
    const subject table = subject_of(input, change.relation);
    // The rows of a view are those that its own query lets through.
    if (table.certainly_missing || table.is('v') || (change.only && table.is('p'))) continue;
    finding f = finding_on(by, table);
    f.lock = lock_level::row_exclusive;
    const std::string what = update ? "UPDATE" : "DELETE";
    f.message = what + (change.has_where ? " with a WHERE that is always true " : " without WHERE ") +
                (update ? "changes" : "loses") + " every row of " + table.sql;
    f.detail = "Every row stays locked until the transaction ends" +
               std::string(update ? ", and each gets a second version in the table and its indexes; "
                                  : ", and VACUUM has to clear all of them away; ") +
               size_in_words(table) + ".";
    advise(f, {in_batches(input, change, table)});
    out.push_back(std::move(f));
  }
}

}  // namespace tidegate::policies
