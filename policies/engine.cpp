#include "policies/engine.hpp"

#include "policies/locks.hpp"
#include "policies/name_changes.hpp"
#include "policies/override_comment.hpp"
#include "policies/policy_scope.hpp"
#include "policies/registry.hpp"
#include "policies/relation_name.hpp"
#include "policies/sql/quote.hpp"
#include "policies/statement_parts.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace tidegate::policies {

namespace {

// What the database knows of a relation under the name that was written, or as facts spell it.
lookup<relation_facts> facts_of(const sql::qualified_name& relation, const catalog_snapshot& catalog) {
  if (const auto found = catalog.relation(relation); found.state != presence::unknown) return found;
  return catalog.relation_by_full_name(sql::quote_name(relation));
}

// The schema that unqualified names are created in; empty: not known.
std::string creation_schema(const catalog_snapshot& catalog) {
  for (const auto& schema : catalog.search_path)
    if (schema != "pg_catalog" && !schema.starts_with("pg_temp")) return schema;
  return {};
}

bool created_before(const sql::qualified_name& relation, const lookup<relation_facts>& facts,
                    const catalog_snapshot& catalog, const transaction_history& history) {
  if (history.created(relation)) return true;
  // a temporary one of the same name is another
  const auto made = [&](const sql::qualified_name& name) {
    return history.created(name) && !history.created_temporary(name);
  };
  // the same relation under its other spelling
  if (facts && relation.schema.empty() &&
      made({.database = {}, .schema = facts->schema, .name = relation.name}))
    return true;
  return !relation.schema.empty() && relation.schema == creation_schema(catalog) &&
         made({.database = {}, .schema = {}, .name = relation.name});
}

// Rows of a table that was never analysed: as many as its pages can hold at most (MaxHeapTuplesPerPage).
double rows_at_most(const relation_facts& facts) {
  constexpr std::int64_t page_bytes = 8192;
  constexpr double rows_per_page = 291;
  return facts.rows ? *facts.rows : static_cast<double>(*facts.bytes / page_bytes) * rows_per_page;
}

// A view has no size: what breaks with it are the queries over it.
bool is_small(const relation_facts& facts, const policy& policy) {
  return facts.kind != 'v' && policy.trust_sizes && facts.bytes && *facts.bytes < policy.small_table_bytes &&
         rows_at_most(facts) < static_cast<double>(policy.small_table_rows);
}

// Nobody else can be in its way, or it is too small to matter (hazards.md, "Default verdicts").
enum class standing { others_use_it, its_own, small, missing };

class decider {
 public:
  decider(const rule_input& input, const policy& policy)
      : input_(input), policy_(policy), history_(input.history), catalog_(&input.catalog) {}

  decision decide() {
    result_.mode = policy_.mode;
    for (const statement_part& part : parts_of(input_.statement)) judge(part);
    std::stable_sort(result_.reported.begin(), result_.reported.end(),
                     [](const finding& a, const finding& b) { return a.action > b.action; });
    find_modes();
    if (result_.mode == policy_mode::off) result_.reported.clear();
    honour_override();
    for (auto& found : result_.reported) finish(found);
    if (!result_.reported.empty()) result_.action = result_.reported.front().action;
    result_.locks = locks_taken(input_.statement, *catalog_);
    result_.guarded =
        result_.mode != policy_mode::off &&
        (locks_unnamed(input_.statement) ||
         std::any_of(result_.locks.begin(), result_.locks.end(), [&](const relation_lock& lock) {
           const standing where = standing_of(lock.relation, {});
           return blocks_writes(lock.level) && where != standing::its_own && where != standing::missing;
         }));
    return std::move(result_);
  }

 private:
  void judge(const statement_part& part) {
    session_facts session = input_.session;
    if (part.in_block) {
      session.in_transaction = true;
      session.alone_in_message = false;
    }
    const rule_input input{*part.statement, input_.text, *catalog_, session, history_, {}};
    for (const rule* each : all_rules()) {
      findings found;
      each->check(input, found);
      for (auto& finding : found) accept(*each, part, std::move(finding));
    }
    if (part.statement == &input_.statement || !part.runs) return;
    history_.add(*part.statement, false, *catalog_);
    if (!changes_names(*part.statement, *catalog_)) return;
    behind_changed_names_ = *catalog_;
    behind_changed_names_.forget_unqualified();
    catalog_ = &behind_changed_names_;
  }

  void accept(const rule& by, const statement_part& part, finding found) {
    found.rule = by.id;
    const bool server_decides = by.kind == hazard::will_fail || by.kind == hazard::advice;
    if (!server_decides && !found.relations.empty()) {
      const standing where = standing_of(at_risk(found), part.schema);
      if (where == standing::its_own) return;
      if (where == standing::small && by.kind != hazard::instant && !found.reaches_further) return;
      // PostgreSQL says best that there is no such relation, unless a statement before this one makes it
      if (where == standing::missing && input_.session.alone_in_message) return;
    }
    const auto facts = facts_of(at_risk(found), *catalog_);
    found.action = action_for(policy_, by.id, question(found, facts), by.default_action);
    if (found.action == verdict::rewrite && !found.rewritable) found.action = verdict::plan;
    if (!server_decides && by.kind != hazard::instant) name_lacked_facts(found, facts);
    result_.reported.push_back(std::move(found));
  }

  standing standing_of(const sql::qualified_name& relation, const std::string& schema) const {
    const auto facts = facts_of(relation, *catalog_);
    if (created_before(qualify(relation, schema), facts, *catalog_, history_)) return standing::its_own;
    if (facts.state == presence::missing) return standing::missing;
    if (!facts) return standing::others_use_it;
    if (facts->new_in_transaction || facts->fresh || facts->persistence == 't') return standing::its_own;
    return is_small(*facts.facts, policy_) ? standing::small : standing::others_use_it;
  }

  static sql::qualified_name at_risk(const finding& found) {
    return found.relations.empty() ? sql::qualified_name{} : split_full_name(found.relations.front());
  }

  scope_question question(const finding& found, const lookup<relation_facts>& facts) const {
    return {input_.session, found.relations, facts ? facts->bytes : std::nullopt};
  }

  void find_modes() {
    static const std::vector<std::string> no_relations;
    const auto find = [this](const scope_question& asked) {
      result_.mode = mode_for(policy_, asked);
      result_.ddl_mode = ddl_mode_for(policy_, asked);
    };
    if (result_.reported.empty()) return find({input_.session, no_relations, std::nullopt});
    const finding& hardest = result_.reported.front();
    find(question(hardest, facts_of(at_risk(hardest), *catalog_)));
  }

  void name_lacked_facts(finding& found, const lookup<relation_facts>& facts) const {
    if (!found.lacked_fact.empty() || found.relations.empty()) return;
    if (facts.state == presence::unknown)
      found.lacked_fact = "what " + found.relations.front() + " is and how big";
    else if (policy_.trust_sizes && facts && !facts->bytes)
      found.lacked_fact = "the size of " + found.relations.front();
  }

  // Comment and role must both allow it. Without the role the comment is mentioned and has no effect.
  void honour_override() {
    const std::string_view text = input_.commented.data() != nullptr ? input_.commented : input_.text;
    if (result_.reported.empty() || text.find("tidegate:allow=") == std::string_view::npos) return;
    const auto comment =
        find_override(input_.commented.data() != nullptr
                          ? text
                          : with_comments(text, std::span(&input_.statement.range, 1)).front());
    if (!comment) return;
    const auto named = [&](const finding& f) {
      return f.action > verdict::allow &&
             std::find(comment->rules.begin(), comment->rules.end(), f.rule) != comment->rules.end();
    };
    const auto& roles = policy_.override_roles;
    if (std::find(roles.begin(), roles.end(), input_.session.role) == roles.end()) {
      for (const auto& found : result_.reported)
        if (named(found)) override_refused_ = true;
      return;
    }
    const auto kept = std::stable_partition(result_.reported.begin(), result_.reported.end(),
                                            [&](const finding& f) { return !named(f); });
    std::move(kept, result_.reported.end(), std::back_inserter(result_.overridden));
    result_.reported.erase(kept, result_.reported.end());
    if (!result_.overridden.empty()) result_.override_reason = comment->reason;
  }

  // The parts of DETAIL and HINT that every finding has.
  void finish(finding& found) const {
    const auto add_line = [](std::string& text, const std::string& line) {
      if (!text.empty()) text += '\n';
      text += line;
    };
    if (!found.lacked_fact.empty())
      add_line(found.detail, "Lacked fact: " + found.lacked_fact + "; the worst was assumed.");
    if (found.action > verdict::warn && !policy_.override_roles.empty())
      add_line(found.hint, override_words(found));
    add_line(found.hint, "More: docs/rules/" + std::string(found.rule) + ".md");
  }

  std::string override_words(const finding& found) const {
    std::string roles;
    for (const auto& role : policy_.override_roles) roles += (roles.empty() ? "" : ", ") + role;
    if (override_refused_)
      return "The override comment was ignored: role " + input_.session.role + " is not among " + roles + ".";
    return "To override, as " + roles + ": put /* tidegate:allow=" + std::string(found.rule) +
           " reason=\"…\" */ into the statement.";
  }

  const rule_input& input_;
  const policy& policy_;
  transaction_history history_;      // grows by the parts of a DO block
  const catalog_snapshot* catalog_;  // for the part at hand
  catalog_snapshot behind_changed_names_;
  decision result_;
  bool override_refused_ = false;
};

}  // namespace

decision decide(const rule_input& input, const policy& policy) {
  return decider(input, policy).decide();
}

}  // namespace tidegate::policies
