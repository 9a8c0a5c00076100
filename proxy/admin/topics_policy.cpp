// SHOW CONFIG, RULES, FINDINGS, DDL, LEDGER.

#include "config/words.hpp"
#include "policies/policy_scope.hpp"
#include "policies/registry.hpp"
#include "proxy/admin/runtime_keys.hpp"
#include "proxy/admin/topics.hpp"

#include <algorithm>

namespace tidegate::admin {

rows make_config(const overview& all) {
  const config::settings defaults;
  rows out;
  for (const runtime_key& key : runtime_keys()) {
    out.push_back(make_row(std::string(key.name), key.get(*all.settings), key.get(defaults),
                           key.set != nullptr ? "yes" : "no"));
  }
  return out;
}

// By the policy for everybody; scopes that name a database, a role, an application, a table or a size are
// counted.
rows make_rules(const overview& all) {
  const policies::policy& policy = all.settings->policies.policy;
  rows out;
  for (const policies::rule* rule : policies::all_rules()) {
    policies::verdict verdict = rule->default_action;
    unsigned exceptions = 0;
    for (const policies::policy_scope& scope : policy.scopes) {
      const auto named = std::ranges::find(scope.rules, rule->id, &policies::rule_action::rule);
      if (named == scope.rules.end()) continue;
      const bool for_everybody = scope.databases.empty() && scope.roles.empty() &&
                                 scope.applications.empty() && scope.tables.empty() && !scope.min_bytes &&
                                 !scope.max_bytes;
      if (for_everybody)
        verdict = named->action;
      else
        ++exceptions;
    }
    out.push_back(make_row(std::string(rule->id), std::string(policies::name(verdict)),
                           std::string(policies::name(rule->default_action)), number(exceptions),
                           std::string(rule->summary)));
  }
  return out;
}

rows make_findings(const overview& all) {
  rows out;
  for (const recent_finding& f : all.findings) {
    out.push_back(make_row(time_text(f.time), f.database, f.user, f.application, f.client, f.rule,
                           std::string(policies::name(f.verdict)), std::string(f.action),
                           std::string(f.outcome), f.sqlstate, f.lock, f.relations, f.message, f.statement));
  }
  return out;
}

rows make_ddl(const overview& all) {
  rows out;
  for (const ddl_row& d : all.ddl) {
    const auto waited =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - d.since);
    std::optional<std::string> client, background;
    if (d.client != 0) client = number(d.client);
    if (d.background != 0) background = number(d.background);
    out.push_back(make_row(client, d.database, d.user, d.application, number(d.backend_pid), d.step,
                           number(d.attempts), number(waited.count() / 1'000'000),
                           number(waited.count() % 1'000'000), d.statement, d.blockers, background));
  }
  return out;
}

rows make_ledger(const overview& all) {
  rows out;
  for (const auto& [database, r] : all.ledger) {
    std::optional<std::string> plan;
    if (r.plan != 0) plan = number(r.plan);
    out.push_back(make_row(database, number(r.id), r.begun, r.duration, r.outcome, r.login, r.role,
                           r.application, r.client, r.action, r.findings, plan, r.locks, r.statement,
                           r.undo.empty() ? "-- none: " + r.why_not : r.undo));
  }
  return out;
}

}  // namespace tidegate::admin
