// FOR ALL TABLES publishes every table there is and will be. Those without a replica identity refuse UPDATE
// and DELETE from then on.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& publication_all_tables_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* change = input.statement.as<sql::publication_change>();
  if (!change || !change->all_tables) return;
  const std::string name = sql::quote_identifier(change->name);
  finding f;
  f.at = input.statement.range.begin;
  f.message = "publication " + name + " takes in every table, also those to come";
  f.detail =
      "A table without a primary key or another replica identity refuses UPDATE and DELETE with 55000 "
      "as soon as it is published; no lock announces it.";
  f.steps = {"CREATE PUBLICATION " + name + " FOR TABLE …, …;"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& publication_all_tables_rule() {
  static constexpr rule r{"publication-all-tables",
                          "tables without a replica identity refuse UPDATE and DELETE once published",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
