// A value that ALTER TYPE … ADD VALUE adds is unsafe to use until its transaction has committed: 55P04. From
// PostgreSQL 17 on it may be used when the type is new in the transaction as well.
#include "policies/finding.hpp"
#include "policies/rule.hpp"
#include "policies/sql/quote.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tidegate::policies {

const rule& enum_value_used_same_transaction_rule();

namespace {

using literals = std::vector<sql::typed_literal>;
using entry = transaction_history::entry;

void add(literals& to, const std::optional<sql::expression>& value) {
  if (value) to.insert(to.end(), value->literals.begin(), value->literals.end());
}

// DEFAULT 'x': the constant is of the column's type without a cast.
void add_default(literals& to, const sql::column_definition& column) {
  const auto* constraint = column.find(sql::constraint_kind::default_value);
  if (!constraint || !constraint->value || constraint->value->shape != sql::expression_shape::constant)
    return;
  const std::string& text = constraint->value->text;
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'')
    to.push_back({text.substr(1, text.size() - 2), column.type});
}

void add(literals& to, const sql::column_definition& column) {
  for (const auto& constraint : column.constraints) add(to, constraint.value);
  add_default(to, column);
}

literals literals_of(const sql::statement& statement) {
  literals found;
  if (const auto* query = statement.as<sql::query>()) {
    found = query->literals;
  } else if (const auto* copy = statement.as<sql::copy>()) {
    if (copy->body) found = copy->body->literals;
  } else if (const auto* create = statement.as<sql::create_table>()) {
    for (const auto& column : create->columns) add(found, column);
    for (const auto& constraint : create->constraints) add(found, constraint.value);
  } else if (const auto* alter = statement.as<sql::alter_table>()) {
    for (const auto& command : alter->commands) {
      if (command.column) add(found, *command.column);
      if (command.constraint) add(found, command.constraint->value);
      add(found, command.value);
    }
  } else if (const auto* index = statement.as<sql::create_index>()) {
    add(found, index->where);
  }
  return found;
}

bool is_of(const sql::type_name& type, const sql::qualified_name& added_to) {
  return type.name == added_to.name && type.array_dimensions == 0 && !type.percent_type &&
         (type.schema == added_to.schema || type.schema.empty() || added_to.schema.empty());
}

void check(const rule_input& input, findings& out) {
  const auto& entries = input.history.entries();
  const auto added = [&](const sql::typed_literal& literal) {
    return std::find_if(entries.begin(), entries.end(), [&](const entry& e) {
      return e.what == entry::kind::added_enum_value && e.name == literal.value &&
             is_of(literal.type, e.relation);
    });
  };
  if (std::none_of(entries.begin(), entries.end(),
                   [](const entry& e) { return e.what == entry::kind::added_enum_value; }))
    return;
  for (const auto& literal : literals_of(input.statement)) {
    const auto found = added(literal);
    if (found == entries.end()) continue;
    // Behind the gateway PostgreSQL knows best whether IF NOT EXISTS has added anything.
    if (found->may_have_existed && input.session.guarded) continue;
    if (input.catalog.server_version >= 170000 && input.history.created_object(found->relation)) continue;
    const std::string type = sql::quote_name(found->relation);
    const std::string value = sql::quote_literal(found->name);
    finding f;
    f.at = literal.type.at >= 0 ? literal.type.at : input.statement.range.begin;
    f.sqlstate = "55P04";
    f.message = "value " + value + " of enum " + type + " cannot be used in the transaction that adds it";
    f.detail = "Its row of pg_enum is not committed yet: PostgreSQL refuses the value with 55P04.";
    if (found->may_have_existed) f.lacked_fact = "whether " + type + " had the value before";
    f.steps = {"ALTER TYPE " + type + " ADD VALUE " + value + ";  -- and COMMIT",
               std::string(input.statement.tag) + " …;  -- in the next transaction"};
    f.hint = "Instead: COMMIT; behind ALTER TYPE " + type + " ADD VALUE " + value +
             "; and use it in the next "
             "transaction.";
    out.push_back(std::move(f));
    return;
  }
}

}  // namespace

const rule& enum_value_used_same_transaction_rule() {
  static constexpr rule r{"enum-value-used-same-transaction",
                          "a value added to an enum can be used only after COMMIT", hazard::will_fail,
                          verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
