// ALTER SEQUENCE is instant, under SHARE ROW EXCLUSIVE on the sequence: nextval(), and so every INSERT that
// calls it, waits until the transaction ends.
#include "policies/subject.hpp"

#include <utility>

namespace tidegate::policies {

const rule& alter_sequence_rule();

namespace {

void check(const rule_input& input, findings& out) {
  const auto* alter = input.statement.as<sql::other_statement>();
  if (!alter || alter->node != "AlterSeqStmt" || alter->relations.empty()) return;
  const subject sequence = subject_of(input, alter->relations.front());
  if (sequence.certainly_missing) return;
  finding f = finding_on(alter_sequence_rule(), sequence);
  f.lock = lock_level::share_row_exclusive;
  f.message = "altering sequence " + sequence.sql + " makes nextval() wait";
  f.detail = std::string(name(f.lock)) + " on " + sequence.sql +
             " blocks nextval() and setval(), and so the INSERTs that call them, until the transaction ends.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& alter_sequence_rule() {
  static constexpr rule r{"alter-sequence", "while a sequence is altered, nextval() waits", hazard::instant,
                          verdict::allow, check};
  return r;
}

}  // namespace tidegate::policies
