// ALTER TYPE … RENAME TO takes no table lock, but casts in running code break.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& rename_type_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* rename = input.statement.as<sql::rename>();
  if (!rename || (rename->kind != sql::object_kind::type && rename->kind != sql::object_kind::domain)) return;
  const std::string from = sql::quote_name(rename->relation);
  finding f;
  f.rule = rename_type_rule().id;
  f.action = rename_type_rule().default_action;
  f.at = input.statement.range.begin;
  f.message = "renaming type " + from + " breaks every cast to it";
  f.detail =
      "Stored columns follow the new name; casts, function bodies and drivers that know the old one fail "
      "with 42704.";
  f.steps = {"-- a new type beside the old one, new columns of it, then drop the old type"};
  f.hint = "Instead: " + f.steps[0];
  out.push_back(std::move(f));
}

}  // namespace

const rule& rename_type_rule() {
  static constexpr rule r{"rename-type", "a renamed type breaks every cast to it", hazard::data_loss,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
