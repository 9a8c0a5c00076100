#include "policies/plan/alter_table.hpp"

#include "policies/added_constraint.hpp"
#include "policies/plan/draft.hpp"
#include "policies/plan/drop.hpp"
#include "policies/plan/parts.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace tidegate::policies {
namespace {

using sql::alter_action;
using sql::constraint_kind;
using sql::quote_identifier;

// What is only dangerous together with others in one ALTER: apart it is not.
constexpr std::string_view cured_by_splitting[] = {"not-valid-and-validate-one-transaction",
                                                   "validate-constraint-under-ael"};

bool is_cured_by_splitting(std::string_view rule) {
  return std::find(std::begin(cured_by_splitting), std::end(cured_by_splitting), rule) !=
         std::end(cured_by_splitting);
}

// A name that PostgreSQL chooses is only known here for constraints.
std::string name_of(const sql::alter_command& command) {
  return command.action == alter_action::add_column && command.column ? command.column->name : command.name;
}

class splitting {
 public:
  splitting(const rule_input& input, const sql::alter_table& alter, const decision& decision)
      : alter_(alter),
        decision_(decision),
        draft_(input, subject_of(input, alter.relation), alter.only),
        handled_(decision.reported.size(), false) {
    for (const auto& command : alter.commands)
      if (command.constraint && !command.constraint->name.empty()) draft_.takes(command.constraint->name);
  }

  std::vector<plan_step> run() {
    // The order of PostgreSQL's own passes, but for what takes something away: where it can wait it comes
    // last, so that a plan that fails on the way has lost nothing.
    for (const auto& command : alter_.commands)
      if (takes_away(command) && is_needed_first(command))
        throw not_planned("something is dropped and made anew in it, which must not happen by halves");
    for (const auto& command : alter_.commands)
      if (command.action == alter_action::alter_type) type(command);
    for (const auto& command : alter_.commands)
      if (command.action == alter_action::add_column) column(command);
    for (const auto& command : alter_.commands)
      if (!takes_away(command) && command.action != alter_action::alter_type &&
          command.action != alter_action::add_column && command.action != alter_action::add_constraint &&
          command.action != alter_action::validate_constraint)
        attribute(command);
    for (const bool keys : {true, false})
      for (const auto& command : alter_.commands)
        if (command.action == alter_action::add_constraint && is_key(command) == keys) constraint(command);
    for (const auto& command : alter_.commands)
      if (command.action == alter_action::validate_constraint) validate(command);
    foreign_keys();
    for (const auto* command : last_) brief(*command);
    for (const auto& command : alter_.commands)
      if (takes_away(command) && !is_dropped(command)) brief(command);
    flush();
    for (std::size_t i = 0; i < handled_.size(); ++i) {
      const finding& f = decision_.reported[i];
      if (f.action >= verdict::rewrite && !handled_[i] && !is_cured_by_splitting(f.rule))
        throw not_planned("there is no plan for " + std::string(f.rule));
    }
    return draft_.take_steps();
  }

 private:
  static bool is_key(const sql::alter_command& command) {
    return command.constraint && (command.constraint->kind == constraint_kind::unique ||
                                  command.constraint->kind == constraint_kind::primary_key);
  }

  static bool takes_away(const sql::alter_command& command) {
    switch (command.action) {
      case alter_action::drop_column:
      case alter_action::drop_constraint:
      case alter_action::drop_not_null:
      case alter_action::drop_default:
      case alter_action::drop_identity:
      case alter_action::drop_expression:
        return true;
      default:
        return false;
    }
  }

  // Another subcommand makes or changes something of the same name.
  bool is_needed_first(const sql::alter_command& command) const {
    return std::any_of(alter_.commands.begin(), alter_.commands.end(), [&](const sql::alter_command& other) {
      if (&other == &command || takes_away(other)) return false;
      return name_of(other) == command.name;
    });
  }

  // The rules have something against it; what they say is dealt with by whoever asks.
  bool is_hazard(const sql::alter_command& command) {
    bool found = false;
    for (std::size_t i = 0; i < handled_.size(); ++i) {
      const finding& f = decision_.reported[i];
      const bool here = f.at >= command.range.begin && f.at < command.range.end;
      if (!here || f.action < verdict::rewrite || is_cured_by_splitting(f.rule)) continue;
      handled_[i] = true;
      found = true;
    }
    return found;
  }

  bool only_hazard_is(const sql::alter_command& command, std::string_view rule) const {
    return std::all_of(decision_.reported.begin(), decision_.reported.end(), [&](const finding& f) {
      const bool here = f.at >= command.range.begin && f.at < command.range.end;
      return !here || f.action < verdict::rewrite || f.rule == rule;
    });
  }

  // Of the statement as a whole; dealt with by whoever asks.
  bool is_reported(std::string_view rule) {
    bool found = false;
    for (std::size_t i = 0; i < handled_.size(); ++i) {
      const finding& f = decision_.reported[i];
      if (f.action < verdict::rewrite || f.rule != rule) continue;
      handled_[i] = true;
      found = true;
    }
    return found;
  }

  std::string text(const sql::alter_command& command) const {
    return std::string(command.range.in(draft_.input().text));
  }

  // Instant: kept for the next flush, together with its neighbours.
  void brief(const sql::alter_command& command) { waiting_.push_back(&command); }

  void flush() {
    if (waiting_.empty()) return;
    std::string subcommands, undo, done;
    for (const auto* command : waiting_) {
      subcommands += (subcommands.empty() ? "" : ", ") + text(*command);
      const std::string probe = took_effect(*command);
      if (!probe.empty()) done = done.empty() ? probe : probe::both(done, probe);
      const std::string back = inverse(*command);
      if (!back.empty()) undo = back + (undo.empty() ? "" : ", " + undo);
    }
    waiting_.clear();
    draft_.add(step_kind::brief, draft_.alter() + subcommands, done,
               undo.empty() ? std::string() : draft_.alter() + undo);
  }

  // Of what can't be said twice.
  std::string took_effect(const sql::alter_command& command) const {
    const std::uint32_t table = draft_.facts().oid;
    switch (command.action) {
      case alter_action::add_column:
        return probe::column(table, command.column->name);
      case alter_action::drop_column:
        return "SELECT NOT (" + probe::column(table, command.name) + ")";
      case alter_action::drop_constraint:
        return probe::no_constraint(table, command.name);
      case alter_action::add_constraint:
        return command.name.empty() ? std::string() : probe::constraint(table, command.name);
      case alter_action::add_identity:
        return probe::identity(table, command.name);
      case alter_action::drop_identity:
        return "SELECT NOT (" + probe::identity(table, command.name) + ")";
      default:
        return {};
    }
  }

  static std::string inverse(const sql::alter_command& command) {
    switch (command.action) {
      case alter_action::add_column:
        return command.if_not_exists ? std::string()
                                     : "DROP COLUMN IF EXISTS " + quote_identifier(command.column->name);
      case alter_action::add_constraint:
        return command.name.empty() ? std::string()
                                    : "DROP CONSTRAINT IF EXISTS " + quote_identifier(command.name);
      default:
        return {};
    }
  }

  void column(const sql::alter_command& command) {
    if (!is_hazard(command)) return brief(command);
    flush();
    plan_column(draft_, command);
  }

  void type(const sql::alter_command& command) {
    constexpr std::string_view rescan = "alter-column-type-check-rescan";
    const bool only_checks = only_hazard_is(command, rescan);
    const bool only_indexes = only_hazard_is(command, "alter-column-type-index-rebuild");
    if (!is_hazard(command)) return brief(command);
    if (only_indexes) {
      flush();
      return plan_type_beside_indexes(draft_, command, text(command));
    }
    if (!only_checks) throw not_planned("the type of column " + quote_identifier(command.name) + " changes");
    flush();
    plan_type_beside_checks(draft_, command, text(command));
  }

  void attribute(const sql::alter_command& command) {
    if (!is_hazard(command)) return last_.push_back(&command);
    if (command.action != alter_action::set_not_null)
      throw not_planned("a part of it has no steps of its own");
    flush();
    plan_not_null(draft_, command.name);
  }

  void constraint(const sql::alter_command& command) {
    if (!is_hazard(command)) return brief(command);
    flush();
    const auto& definition = *command.constraint;
    const std::string body(without_name(definition.range.in(draft_.input().text)));
    const auto name = [&] {
      if (!definition.name.empty()) return definition.name;
      return draft_.new_constraint(name_columns(definition), name_suffix(definition.kind));
    };
    switch (definition.kind) {
      case constraint_kind::check:
        return plan_check(draft_, name(), body);
      case constraint_kind::foreign_key:
        return plan_foreign_key(draft_, name(), body);
      case constraint_kind::unique:
      case constraint_kind::primary_key:
        return plan_key(draft_, definition, body);
      default:
        throw not_planned("this kind of constraint has no online form");
    }
  }

  void validate(const sql::alter_command& command) {
    is_hazard(command);
    flush();
    draft_.add(step_kind::checking, draft_.alter() + text(command),
               probe::valid_constraint(draft_.facts().oid, command.name));
  }

  // What would lock several other tables at the same time.
  void foreign_keys() {
    if (!is_reported("drop-foreign-keys-at-once")) return;
    flush();
    const auto keys = dropped_foreign_keys(draft_.input());
    plan_dropped_foreign_keys(draft_, keys);
    for (const auto& command : alter_.commands) {
      const bool alone = std::any_of(keys.begin(), keys.end(), [&](const dropped_foreign_key& dropped) {
        return dropped.table == draft_.table().facts && dropped.key->name == command.name;
      });
      if (command.action == alter_action::drop_constraint && alone) dropped_.insert(&command);
    }
  }

  bool is_dropped(const sql::alter_command& command) const { return dropped_.contains(&command); }

  const sql::alter_table& alter_;
  const decision& decision_;
  draft draft_;
  std::vector<bool> handled_;  // of the findings
  std::vector<const sql::alter_command*> waiting_;
  std::vector<const sql::alter_command*> last_;  // instant, and without an inverse
  std::set<const sql::alter_command*> dropped_;  // in steps of their own
};

}  // namespace

std::vector<plan_step> plan_alter_table(const rule_input& input, const sql::alter_table& alter,
                                        const decision& decision) {
  return splitting(input, alter, decision).run();
}

}  // namespace tidegate::policies
