// policies: what may happen to a statement.

#include "config/sections.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::config {
namespace {

std::vector<policies::rule_action> read_rules(section_reader& section, const load_options& options) {
  std::vector<policies::rule_action> rules;
  section.named("rules", "<rule>", [&](const std::string& id, section_reader& actions) {
    policies::rule_action rule{id, policies::verdict::block};
    actions.word(id, rule.action);
    if (std::ranges::find(options.rule_ids, id) == options.rule_ids.end()) {
      const std::string_view meant = nearest(id, options.rule_ids);
      actions.refuse(
          id, "no rule has this name",
          meant.empty() ? "docs/rules.md lists them" : "did you mean \"" + std::string(meant) + "\"?");
    }
    rules.push_back(std::move(rule));
  });
  return rules;
}

void read_override(section_reader& section, policies::policy_scope& out, const load_options& options) {
  section.texts("databases", out.databases);
  section.texts("roles", out.roles);
  section.texts("applications", out.applications);
  section.texts("tables", out.tables);
  if (section.has("min_size")) section.size("min_size", out.min_bytes.emplace());
  if (section.has("max_size")) section.size("max_size", out.max_bytes.emplace());
  if (section.has("mode")) section.word("mode", out.mode.emplace());
  if (section.has("ddl_mode")) section.word("ddl_mode", out.ddl_mode.emplace());
  out.rules = read_rules(section, options);
  if (out.min_bytes && out.max_bytes && *out.min_bytes > *out.max_bytes) {
    section.refuse("max_size", "is less than min_size", "swap them");
  }
  if (!section.has("mode") && !section.has("ddl_mode") && !section.has("rules")) {
    section.refuse("rules", "neither mode, ddl_mode nor rules: the override changes nothing",
                   "write rules: {rule: action}");
  }
}

}  // namespace

void read_policies(section_reader& root, policy_settings& out, const load_options& options) {
  root.section("policies", [&](section_reader& section) {
    policies::policy& policy = out.policy;
    section.word("mode", policy.mode);
    section.word("ddl_mode", policy.ddl_mode);
    section.word("on_unparsable", policy.on_unparsable);
    if (policy.on_unparsable != policies::verdict::allow &&
        policy.on_unparsable != policies::verdict::block) {
      section.refuse("on_unparsable", "cannot be judged by a rule", "write allow or block");
    }
    section.section("small_table", [&](section_reader& small) {
      small.number("rows", policy.small_table_rows, {0, std::int64_t{1} << 40});
      small.size("bytes", policy.small_table_bytes);
    });
    section.duration("new_relation_window", out.new_relation_window);
    section.boolean("ledger", out.ledger);
    if (auto rules = read_rules(section, options); !rules.empty()) {
      policy.scopes.emplace_back().rules = std::move(rules);
    }
    section.sections("overrides", [&](section_reader& override_section) {
      read_override(override_section, policy.scopes.emplace_back(), options);
    });
    section.texts("allow_override_roles", policy.override_roles);
  });
}

}  // namespace tidegate::config
