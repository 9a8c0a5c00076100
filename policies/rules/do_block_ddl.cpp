// The static SQL in a DO block is judged statement by statement. What the block makes up as it runs can't be
// seen.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& do_block_ddl_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* block = input.statement.as<sql::do_block>();
  if (!block || (!block->has_dynamic_sql && !block->opaque)) return;
  finding f;
  f.at = input.statement.range.begin;
  f.message = block->opaque ? "what this DO block runs cannot be read"
                            : "this DO block runs SQL that it makes up itself";
  f.detail = block->opaque
                 ? "It is written in language " + (block->language.empty() ? "plpgsql" : block->language) +
                       ", and its body was not understood: it may hold DDL."
                 : "EXECUTE of a computed string may be DDL; it is neither judged nor guarded.";
  f.hint = "Instead: send the statements themselves, so that each is judged and guarded.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& do_block_ddl_rule() {
  static constexpr rule r{"do-block-ddl", "what a DO block makes up as it runs is not seen before it runs",
                          hazard::advice, verdict::warn, check};
  return r;
}

}  // namespace tidegate::policies
