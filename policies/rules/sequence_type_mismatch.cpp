// A serial or identity column that grows from integer to bigint leaves its sequence at integer: nextval()
// still fails with 2200H at 2147483647.
#include "policies/altered_type.hpp"
#include "policies/sql/quote.hpp"

namespace tidegate::policies {

const rule& sequence_type_mismatch_rule();

namespace {

int width(std::string_view integer_type) {
  return integer_type == "int2" ? 2 : integer_type == "int4" ? 4 : integer_type == "int8" ? 8 : 0;
}

void check(const rule_input& input, findings& out) {
  for (const auto& altered : altered_types(input)) {
    const auto* column = altered.command.column;
    if (!column || column->owned_sequence.empty()) continue;
    const auto to = resolve(altered.command.command->column->type, input.catalog);
    if (!to || width(to->name) <= width(column->owned_sequence_type)) continue;
    finding f = finding_on(sequence_type_mismatch_rule(), altered.command);
    f.lock = lock_level::none;
    f.message = "sequence " + column->owned_sequence + " stays " +
                in_words({"pg_catalog", column->owned_sequence_type, -1}) + " while " +
                altered.column_in_words() + " becomes " + altered.change.to;
    f.detail =
        "The sequence keeps its MAXVALUE: nextval() fails with 2200H when it is reached, whatever the column "
        "could hold.";
    advise(f, {"ALTER SEQUENCE " + column->owned_sequence + " AS " + in_words(*to) + ";"});
    out.push_back(std::move(f));
  }
}

}  // namespace

const rule& sequence_type_mismatch_rule() {
  static constexpr rule r{"sequence-type-mismatch", "a widened serial column leaves its sequence narrow",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
