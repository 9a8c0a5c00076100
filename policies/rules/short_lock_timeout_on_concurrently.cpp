// CONCURRENTLY waits for every older snapshot of the database, and lock_timeout counts those waits: when it
// runs out an invalid index stays behind. The gateway sets it to 0 for the statement.
#include "policies/setting_value.hpp"
#include "policies/sql/quote.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& short_lock_timeout_on_concurrently_rule();

namespace {

// Waits of minutes are what CONCURRENTLY is for.
constexpr double shortest_fit_milliseconds = 60'000;

struct concurrent_command {
  const sql::qualified_name* relation = nullptr;
  std::string left_behind;  // when it is cut off
};

concurrent_command concurrent_command_of(const sql::statement& statement) {
  if (const auto* index = statement.as<sql::create_index>(); index && index->concurrently)
    return {&index->relation, "an invalid index stays behind, which writes still have to keep up to date"};
  if (const auto* drop = statement.as<sql::drop>(); drop && drop->concurrently && !drop->objects.empty())
    return {&drop->objects.front(), "the index stays behind, invalid"};
  if (const auto* reindex = statement.as<sql::reindex>(); reindex && reindex->concurrently)
    return {&reindex->relation, "an invalid index whose name ends in _ccnew stays behind"};
  if (const auto* alter = statement.as<sql::alter_table>())
    for (const auto& command : alter->commands)
      if (command.action == sql::alter_action::detach_partition && command.concurrently)
        return {&alter->relation, "the partition is half detached until DETACH PARTITION … FINALIZE"};
  return {};
}

void check(const rule_input& input, findings& out) {
  if (input.session.guarded || !input.session.lock_timeout) return;
  const auto timeout = milliseconds_of(*input.session.lock_timeout);
  if (!timeout || *timeout == 0 || *timeout >= shortest_fit_milliseconds) return;
  const auto command = concurrent_command_of(input.statement);
  if (!command.relation) return;
  finding f;
  if (!command.relation->name.empty())
    f = finding_on(short_lock_timeout_on_concurrently_rule(), subject_of(input, *command.relation));
  f.lock = lock_level::share_update_exclusive;
  f.at = input.statement.range.begin;
  f.message = "lock_timeout " + *input.session.lock_timeout + " may cut " + std::string(input.statement.tag) +
              " CONCURRENTLY off half-way";
  f.detail =
      "It waits for every older transaction and snapshot of the database, on whatever table, and "
      "lock_timeout counts those waits; when it runs out " +
      command.left_behind + ".";
  advise(f, {"SET lock_timeout = 0;"});
  f.hint += "  -- before it, in a message of its own";
  out.push_back(std::move(f));
}

}  // namespace

const rule& short_lock_timeout_on_concurrently_rule() {
  static constexpr rule r{"short-lock-timeout-on-concurrently",
                          "a short lock_timeout cuts CONCURRENTLY off and leaves an invalid index",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
