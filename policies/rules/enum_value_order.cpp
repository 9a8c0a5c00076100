// ADD VALUE without BEFORE or AFTER puts the value behind all others, which is its place for <, > and ORDER
// BY for good.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& enum_value_order_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* alter = input.statement.as<sql::alter_enum>();
  if (!alter || alter->rename || alter->has_position) return;
  const std::string type = sql::quote_name(alter->type);
  const std::string value = sql::quote_literal(alter->value);
  finding f;
  f.at = input.statement.range.begin;
  f.message = "value " + value + " sorts behind every other value of enum " + type;
  f.detail = "Enums compare and sort by position, which cannot be changed afterwards.";
  f.steps = {"ALTER TYPE " + type + " ADD VALUE " + (alter->if_not_exists ? "IF NOT EXISTS " : "") + value +
             " AFTER '…';"};
  f.hint = "Instead: " + f.steps[0] + "  -- or BEFORE '…', when its place matters";
  out.push_back(std::move(f));
}

}  // namespace

const rule& enum_value_order_rule() {
  static constexpr rule r{"enum-value-order", "an enum value added without a place sorts last, for good",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
