// DROP INDEX CONCURRENTLY takes one index and no CASCADE.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_index_concurrently_multiple_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* statement = input.statement.as<sql::drop>();
  if (!statement || statement->kind != sql::object_kind::index || !statement->concurrently) return;
  if (statement->objects.size() < 2 && !statement->cascade) return;
  finding f =
      finding_on(drop_index_concurrently_multiple_rule(), subject_of(input, statement->objects.front()));
  f.relations.clear();
  std::vector<std::string> safe;
  for (const auto& object : statement->objects) {
    f.relations.push_back(subject_of(input, object).full_name);
    safe.push_back("DROP INDEX CONCURRENTLY " + std::string(statement->if_exists ? "IF EXISTS " : "") +
                   sql::quote_name(object) + ";");
  }
  f.lock = lock_level::none;
  f.at = input.statement.range.begin;
  f.sqlstate = "0A000";
  f.message = statement->cascade ? "DROP INDEX CONCURRENTLY does not support CASCADE"
                                 : "DROP INDEX CONCURRENTLY drops one index at a time";
  f.detail = "PostgreSQL refuses the statement as it is.";
  advise(f, std::move(safe));
  out.push_back(std::move(f));
}

}  // namespace

const rule& drop_index_concurrently_multiple_rule() {
  static constexpr rule r{"drop-index-concurrently-multiple",
                          "DROP INDEX CONCURRENTLY takes one index and no CASCADE", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
