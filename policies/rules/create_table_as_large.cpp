// CREATE TABLE AS and SELECT INTO copy what they read in one transaction: its snapshot holds VACUUM back in
// the whole database, and all of it goes through WAL.
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace tidegate::policies {

const rule& create_table_as_large_rule();

namespace {

bool is_catalog(const subject& source) {
  const std::string& schema = source.facts ? source.facts->schema : source.written->schema;
  return schema == "pg_catalog" || schema == "information_schema";
}

// Unknown is bigger than anything known.
bool is_bigger(const subject& a, const subject& b) {
  const auto bytes = [](const subject& each) -> std::optional<std::int64_t> {
    return each.facts ? each.facts->bytes : std::nullopt;
  };
  if (!bytes(a) || !bytes(b)) return bytes(b).has_value();
  return *bytes(a) > *bytes(b);
}

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::create_table_as>();
  if (!create || create->with_no_data || create->narrowed || create->materialized_view) return;
  if (create->temporary || create->relation.schema == "pg_temp") return;
  if (create->if_not_exists && subject_of(input, create->relation).facts) return;
  std::optional<subject> biggest;
  for (const auto& name : create->sources) {
    const subject source = subject_of(input, name);
    // what a view returns can't be told from here
    if (source.certainly_missing || source.is('v') || source.is('S') || is_catalog(source)) continue;
    if (!biggest || is_bigger(source, *biggest)) biggest = source;
  }
  if (!biggest) return;
  const std::string made = sql::quote_name(create->relation);
  finding f = finding_on(create_table_as_large_rule(), *biggest);
  f.lock = lock_level::access_share;
  f.message = "every row of " + biggest->sql + " is read into new table " + made + " in one transaction";
  f.detail =
      "Its snapshot keeps VACUUM from clearing up in the whole database, and the copy is written to WAL; " +
      size_in_words(*biggest) + ".";
  advise(f, {"CREATE TABLE " + made + " AS SELECT … WITH NO DATA;",
             "INSERT INTO " + made + " SELECT … FROM " + biggest->sql +
                 " WHERE …;  -- in batches by key, COMMIT after each"});
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_table_as_large_rule() {
  static constexpr rule r{"create-table-as-large", "a copy of a large table is one long transaction",
                          hazard::online_way, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
