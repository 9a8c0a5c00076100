// RENAME VALUE takes no table lock, but code that still says the old value fails with 22P02 from then on.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& enum_rename_value_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* alter = input.statement.as<sql::alter_enum>();
  if (!alter || !alter->rename || input.history.created_object(alter->type)) return;
  const std::string type = sql::quote_name(alter->type);
  const std::string from = sql::quote_literal(alter->old_value);
  const std::string to = sql::quote_literal(alter->value);
  finding f;
  f.rule = enum_rename_value_rule().id;
  f.at = input.statement.range.begin;
  f.message = "renaming value " + from + " of enum " + type + " breaks code that still says it";
  f.detail = "Stored rows follow the new name; statements that compare with or write " + from +
             " fail with 22P02, and readers meet a value they do not know.";
  f.steps = {
      "ALTER TYPE " + type + " ADD VALUE " + to + " AFTER " + from + ";",
      "UPDATE … SET … = " + to + " WHERE … = " + from + ";  -- in batches by key, once the code knows " + to};
  f.hint = "Instead: each of these in its own transaction:\n" + f.steps[0] + "\n" + f.steps[1];
  out.push_back(std::move(f));
}

}  // namespace

const rule& enum_rename_value_rule() {
  static constexpr rule r{"enum-rename-value", "a renamed enum value breaks code that still says the old one",
                          hazard::data_loss, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
