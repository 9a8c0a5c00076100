// lock_timeout set to 0 lets a lock wait, and the queue behind it, grow without end: by SET, set_config(),
// UPDATE pg_settings, for a role, a database or the server; or taken back to a default that may be 0. Behind
// the gateway DDL is guarded all the same, so this is advice.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/setting_value.hpp"
#include "policies/sql/token_list.hpp"

#include <utility>

namespace tidegate::policies {

const rule& lock_timeout_disabled_rule();

namespace {

constexpr std::string_view setting_name = "lock_timeout";

bool is_zero(const std::string& value) {
  return milliseconds_of(value) == 0;
}

enum class effect { none, disables, back_to_default, unknown };

effect effect_of(const sql::variable_set& set) {
  switch (set.form) {
    case sql::set_form::set:
      return sql::folded(set.name) == setting_name && is_zero(set.value) ? effect::disables : effect::none;
    case sql::set_form::set_default:
    case sql::set_form::reset:
      return sql::folded(set.name) == setting_name ? effect::back_to_default : effect::none;
    case sql::set_form::reset_all:
      return effect::back_to_default;
    case sql::set_form::from_current:
    case sql::set_form::multi:
      return effect::none;
  }
  return effect::none;
}

effect effect_of(const sql::function_call& call, const session_facts& session) {
  const bool built_in = call.schema.empty() || call.schema == "pg_catalog";
  if (!built_in || call.name != "set_config" || call.constant_arguments.size() < 2) return effect::none;
  const auto& name = call.constant_arguments[0];
  const auto& value = call.constant_arguments[1];
  // A name that is computed says nothing; behind the gateway it need not.
  if (!name) return session.guarded ? effect::none : effect::unknown;
  if (sql::folded(*name) != setting_name) return effect::none;
  if (!value) return effect::unknown;
  return is_zero(*value) ? effect::disables : effect::none;
}

effect effect_of(const rule_input& input) {
  const auto& statement = input.statement;
  if (const auto* set = statement.as<sql::variable_set>()) return effect_of(*set);
  if (const auto* role = statement.as<sql::alter_role_set>()) return effect_of(role->setting);
  if (const auto* system = statement.as<sql::alter_system>()) return effect_of(system->setting);
  if (const auto* discard = statement.as<sql::discard>())
    return discard->target == sql::discard_target::all ? effect::back_to_default : effect::none;
  const auto* query = statement.as<sql::query>();
  if (!query) return effect::none;
  auto worst = effect::none;
  for (const auto& call : query->functions) {
    const auto found = effect_of(call, input.session);
    if (found == effect::disables) return found;
    if (found != effect::none) worst = found;
  }
  if (query->sets_settings && sql::folded(input.text).find(setting_name) != std::string::npos)
    return effect::unknown;
  return worst;
}

// Going back to the default takes nothing away from a session that has no bound, nor, behind the gateway,
// from one whose setting is not known.
bool loses_a_bound(const session_facts& session) {
  if (session.lock_timeout) return !is_zero(*session.lock_timeout);
  return !session.guarded;
}

void check(const rule_input& input, findings& out) {
  const auto what = effect_of(input);
  if (what == effect::none) return;
  if (what == effect::back_to_default && !loses_a_bound(input.session)) return;
  finding f;
  f.rule = lock_timeout_disabled_rule().id;
  f.action = lock_timeout_disabled_rule().default_action;
  f.at = input.statement.range.begin;
  f.message = what == effect::back_to_default ? "lock_timeout goes back to its default, which is 0 unless set"
                                              : "lock_timeout 0 lets lock waits last without end";
  f.detail = input.session.guarded ? "Schema changes sent through the gateway keep bounds of their own; "
                                     "other statements may wait for ever."
                                   : "A statement that waits for a strong lock makes every later statement "
                                     "on the table wait behind it.";
  if (what == effect::unknown) f.lacked_fact = "the value that lock_timeout gets";
  if (what == effect::back_to_default)
    f.lacked_fact = "the default lock_timeout of role, database and server";
  f.steps = {"SET lock_timeout = '2s';"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& lock_timeout_disabled_rule() {
  static constexpr rule r{"lock-timeout-disabled", "lock_timeout 0 lets lock waits last without end",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
