// Without autovacuum a table bloats and its statistics age, until the vacuum against wraparound comes at a
// bad moment.
#include "policies/sql/quote.hpp"
#include "policies/sql/token_list.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::policies {

const rule& autovacuum_disabled_rule();

namespace {

// As PostgreSQL's parse_bool() reads it: any unambiguous beginning of the word.
bool is_false(std::string_view value) {
  const std::string lower = sql::folded(value);
  const auto begins = [&](std::string_view word, std::size_t at_least) {
    return lower.size() >= at_least && word.starts_with(lower);
  };
  return lower == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2);
}

const sql::storage_option* switched_off(const std::vector<sql::storage_option>& options) {
  const auto it = std::find_if(options.begin(), options.end(), [](const sql::storage_option& option) {
    return (option.name == "autovacuum_enabled" || option.name == "toast.autovacuum_enabled") &&
           is_false(option.value);
  });
  return it == options.end() ? nullptr : &*it;
}

void report(const subject& table, const std::string& statement, const sql::storage_option& option,
            lock_level lock, sql::position at, findings& out) {
  finding f = finding_on(autovacuum_disabled_rule(), table);
  f.lock = lock;
  if (at >= 0) f.at = at;
  f.message = "without autovacuum " + table.sql + " bloats and its statistics age";
  f.detail = std::string(option.name.starts_with("toast.") ? "Its TOAST table" : "The table") +
             " is then vacuumed against wraparound only, which can't be put off.";
  advise(f,
         {statement + table.sql +
          " SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 10);  -- more often, "
          "in smaller bites"});
  out.push_back(std::move(f));
}

void check(const rule_input& input, findings& out) {
  if (const auto* alter = input.statement.as<sql::alter_table>()) {
    const subject table = subject_of(input, alter->relation);
    if (table.certainly_missing || (table.facts && table.facts->persistence == 't') ||
        input.history.created_temporary(alter->relation))
      return;
    for (const auto& command : alter->commands) {
      if (command.action != sql::alter_action::set_options) continue;
      const auto* option = switched_off(command.options);
      if (!option) continue;
      const bool view = alter->kind == sql::object_kind::materialized_view || table.is('m');
      report(table, view ? "ALTER MATERIALIZED VIEW " : "ALTER TABLE ", *option,
             lock_level::share_update_exclusive, command.range.begin, out);
    }
  } else if (const auto* create = input.statement.as<sql::create_table>()) {
    const auto* option = switched_off(create->options);
    if (!option || create->temporary || create->relation.schema == "pg_temp") return;
    const subject table = subject_of(input, create->relation);
    if (create->if_not_exists && table.facts) return;
    report(table, "ALTER TABLE ", *option, lock_level::none, create->relation.at, out);
  }
}

}  // namespace

const rule& autovacuum_disabled_rule() {
  static constexpr rule r{"autovacuum-disabled", "a table without autovacuum bloats", hazard::advice,
                          verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
