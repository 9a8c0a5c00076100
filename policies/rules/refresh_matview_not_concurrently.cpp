// REFRESH MATERIALIZED VIEW holds ACCESS EXCLUSIVE as long as its query runs, however few rows come out.
// CONCURRENTLY needs a plain unique index.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::policies {

const rule& refresh_matview_not_concurrently_rule();

namespace {

// As is_usable_unique_index() of PostgreSQL has it.
bool allows_concurrently(const index_facts& index) {
  return index.unique && index.valid && !index.has_predicate && !index.has_expressions;
}

void check(const rule_input& input, findings& out) {
  const auto* refresh = input.statement.as<sql::refresh_materialized_view>();
  if (!refresh || refresh->concurrently) return;
  const subject view = subject_of(input, refresh->relation);
  // one without data is read by nobody, and CONCURRENTLY does not take it
  if (view.certainly_missing || (view.facts && (!view.is('m') || !view.facts->populated))) return;
  finding f = finding_on(refresh_matview_not_concurrently_rule(), view);
  f.reaches_further = true;  // what its query reads
  f.message = "refreshing " + view.sql + " blocks its readers until its query is done";
  f.detail = detail_of(f.lock, view, "the query runs and the indexes are built");
  if (refresh->with_no_data) {
    f.message = "WITH NO DATA leaves " + view.sql + " without rows, and queries of it fail";
    f.detail = lock_in_words(f.lock, view) +
               " for a moment; then queries of it fail with 55000 until it is refreshed.";
  }
  std::vector<std::string> steps;
  const bool ready =
      view.facts && std::any_of(view.facts->indexes.begin(), view.facts->indexes.end(), allows_concurrently);
  if (!ready)
    steps.push_back("CREATE UNIQUE INDEX CONCURRENTLY " +
                    sql::quote_identifier(refresh->relation.name + "_unique") + " ON " + view.sql +
                    " (…);  -- columns that identify a row; only once");
  steps.push_back("REFRESH MATERIALIZED VIEW CONCURRENTLY " + view.sql + ";");
  advise(f, std::move(steps));
  out.push_back(std::move(f));
}

}  // namespace

const rule& refresh_matview_not_concurrently_rule() {
  static constexpr rule r{"refresh-matview-not-concurrently",
                          "REFRESH MATERIALIZED VIEW blocks readers as long as its query runs",
                          hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
