// A build that failed leaves an INVALID index. IF NOT EXISTS takes it for the index that was wanted and skips
// it without a word.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& concurrent_index_if_not_exists_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::create_index>();
  if (!statement || !statement->concurrently || !statement->if_not_exists || statement->name.empty()) return;
  const subject table = subject_of(input, statement->relation);
  if (table.certainly_missing) return;
  const auto* index = table.facts ? table.facts->index(statement->name) : nullptr;
  if (table.facts && (!index || index->valid)) return;

  const std::string name_sql =
      sql::quote_name({.database = {}, .schema = statement->relation.schema, .name = statement->name});
  finding f = finding_on(concurrent_index_if_not_exists_rule(), table);
  f.lock = lock_level::share_update_exclusive;
  f.message = index ? "index " + name_sql + " exists and is invalid: IF NOT EXISTS skips it"
                    : "IF NOT EXISTS skips an invalid index " + name_sql + " that a failed build left behind";
  f.detail = "An invalid index slows writes and serves no query; a unique one may still refuse rows.";
  if (!index) f.lacked_fact = "whether " + name_sql + " exists and is valid";
  advise(f, {"SELECT indisvalid FROM pg_index WHERE indexrelid = " + sql::quote_literal(name_sql) +
                 "::regclass;  -- when false:",
             "DROP INDEX CONCURRENTLY " + name_sql + ";", "CREATE INDEX CONCURRENTLY …;"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& concurrent_index_if_not_exists_rule() {
  static constexpr rule r{"concurrent-index-if-not-exists",
                          "IF NOT EXISTS skips the invalid index that a failed concurrent build left",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
