// Values of an enum can be added and renamed, but never dropped nor moved.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <utility>

namespace tidegate::policies {

const rule& create_enum_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* create = input.statement.as<sql::create_enum>();
  if (!create) return;
  const std::string type = sql::quote_name(create->type);
  finding f;
  f.at = input.statement.range.begin;
  f.message = "values of enum " + type + " can be added and renamed, but not dropped or moved";
  f.detail = "To lose one, every column of the type has to be rewritten to another type.";
  f.steps = {"CREATE TABLE " + type + " (value text PRIMARY KEY);"};
  f.hint = "Instead: " + f.steps[0] +
           "  -- with foreign keys to it; or a text column with a CHECK, where the values may change";
  out.push_back(std::move(f));
}

}  // namespace

const rule& create_enum_rule() {
  static constexpr rule r{"create-enum", "values of an enum cannot be dropped", hazard::advice, verdict::warn,
                          check};
  return r;
}

}  // namespace tidegate::policies
