// CONCURRENTLY needs transactions of its own: PostgreSQL refuses it inside a transaction block, beside other
// statements in one message, behind others in a pipeline, and in a DO block.
#include "policies/concurrent_index.hpp"
#include "policies/subject.hpp"

#include <algorithm>
#include <utility>

namespace tidegate::policies {

const rule& concurrently_in_transaction_rule();

namespace {

bool runs_concurrently(const sql::statement& statement) {
  if (const auto* index = statement.as<sql::create_index>()) return index->concurrently;
  if (const auto* drop = statement.as<sql::drop>()) return drop->concurrently;
  if (const auto* reindex = statement.as<sql::reindex>()) return reindex->concurrently;
  if (const auto* alter = statement.as<sql::alter_table>())
    return std::any_of(alter->commands.begin(), alter->commands.end(), [](const sql::alter_command& command) {
      return command.action == sql::alter_action::detach_partition && command.concurrently;
    });
  return false;
}

void check(const rule_input& input, findings& out) {
  if (!runs_concurrently(input.statement) || may_run_concurrently(input.session)) return;
  finding f;
  f.at = input.statement.range.begin;
  f.sqlstate = "25001";
  const std::string command(input.statement.tag);
  f.message = command + (input.session.in_transaction ? " CONCURRENTLY cannot run inside a transaction block"
                                                      : " CONCURRENTLY must be alone in its message");
  f.detail = input.session.in_transaction
                 ? "It commits and waits several times, which a transaction block does not allow."
                 : "Several statements in one message are one implicit transaction, and it needs its own.";
  f.hint = "Instead: send it by itself, outside BEGIN … COMMIT, as the only statement of its message.";
  out.push_back(std::move(f));
}

}  // namespace

const rule& concurrently_in_transaction_rule() {
  static constexpr rule r{"concurrently-in-transaction",
                          "CONCURRENTLY fails inside a transaction and beside other statements",
                          hazard::will_fail, verdict::block, check};
  return r;
}

}  // namespace tidegate::policies
