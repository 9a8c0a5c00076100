// What is dropped takes its foreign keys along. One locks the table at its other end, as DROP CONSTRAINT
// does; several lock several, and each of these waits while the next is waited for (measured in
// docs/plans.md).
#include "policies/dropped_foreign_keys.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& drop_foreign_keys_at_once_rule();

namespace {

constexpr std::size_t named_at_most = 5;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < named_at_most; ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  if (names.size() > named_at_most) text += " and " + std::to_string(names.size() - named_at_most) + " more";
  return text;
}

void check(const rule_input& input, findings& out) {
  const auto keys = dropped_foreign_keys(input);
  std::vector<std::string> locked = locked_by(keys);
  if (locked.size() < 2) return;
  const auto* alter = input.statement.as<sql::alter_table>();
  const auto* drop = input.statement.as<sql::drop>();
  const subject table = subject_of(input, alter ? alter->relation : drop->objects.front());
  finding f = finding_on(drop_foreign_keys_at_once_rule(), table);
  f.at = input.statement.range.begin;
  f.message = std::string(input.statement.tag) + " drops foreign keys that lock " + listed(locked) +
              " at the same time";
  f.detail = std::string(name(f.lock)) + " on each of them blocks " + std::string(what_it_blocks(f.lock)) +
             " until the lock on the last one has been had.";
  std::vector<std::string> steps;
  for (const auto& key : keys)
    steps.push_back("ALTER TABLE " + key.table_sql + " DROP CONSTRAINT " +
                    sql::quote_identifier(key.key->name) + ";");
  steps.push_back(std::string(input.statement.range.in(input.text)) + ";  -- what is left of it");
  advise(f, std::move(steps));
  // The tables at the other ends are at risk, however small: it is the waiting that hurts, not the work.
  f.reaches_further = true;
  locked.push_back(table.full_name);
  f.relations = std::move(locked);
  out.push_back(std::move(f));
}

}  // namespace

const rule& drop_foreign_keys_at_once_rule() {
  static constexpr rule r{
      "drop-foreign-keys-at-once",
      "what is dropped with several foreign keys locks several other tables at the same time",
      hazard::online_way, verdict::plan, check};
  return r;
}

}  // namespace tidegate::policies
