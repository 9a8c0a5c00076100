// Of a session: what is owed once its transaction has ended. Settings are put back, the ledger hears what
// stands, and what was deferred is begun.

#include "protocol/sqlstate.hpp"
#include "proxy/log/log.hpp"
#include "proxy/session/background_statement.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/deferred_ddl.hpp"
#include "proxy/session/replies.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <utility>

namespace tidegate::session {

session_memory::session_memory() = default;
session_memory::~session_memory() = default;

void client_session::run_owed() {
  if (!owes() || ended_ || phase_ != phase::relaying || !core_.pipeline().at_rest() ||
      core_.inside_client_message())
    return;
  if (memory_->owed.empty() && !memory_->trail.marked()) {
    tell_ledger(memory_->trail.settle(std::nullopt, errors_seen_));
    return;
  }
  run_dialogue([this, owed = std::exchange(memory_->owed, {})](
                   server_dialogue& server) -> boost::asio::awaitable<void> {
    std::vector<own_statement> statements;
    for (const std::string& sql : owed) statements.push_back({sql});
    if (!statements.empty() && !co_await server.run(std::move(statements), dialogue_end::sync)) co_return;
    co_await settle_trail(server);
  });
}

// What of its schema changes stands, its mark tells.
boost::asio::awaitable<void> client_session::settle_trail(server_dialogue& server) {
  if (!memory_ || memory_->trail.empty()) co_return;
  std::optional<std::string> marks, committed;
  if (memory_->trail.marked()) {
    std::vector<own_statement> questions;
    questions.push_back({std::string(ddl_trail::read_marks())});
    questions.push_back({std::string(ddl_trail::clear_marks())});
    const bool deferred = memory_->deferred && !memory_->deferred->empty();
    if (deferred) questions.push_back({memory_->deferred->ask_committed()});
    const auto read = co_await server.run(std::move(questions), dialogue_end::sync);
    if (!read) co_return;
    const auto answer_to = [&](std::size_t question) -> std::optional<std::string> {
      if (question >= read->rows.size() || read->rows[question].empty()) return std::nullopt;
      return control::text(read->rows[question].front(), 0);
    };
    if (read->ok()) marks = answer_to(0);
    if (read->ok() && deferred) committed = answer_to(2);
  }
  tell_ledger(memory_->trail.settle(marks, errors_seen_));
  settle_deferred(marks, committed);
}

void client_session::tell_ledger(std::vector<control::ddl_entry> changes) {
  for (control::ddl_entry& change : changes) on_.shared.ledger.record(*control_, std::move(change));
}

// What was deferred is carried out now, in sessions of the gateway's own, or was rolled back.
void client_session::settle_deferred(const std::optional<std::string>& marks,
                                     const std::optional<std::string>& committed) {
  if (!memory_ || !memory_->deferred) return;
  auto settled = memory_->deferred->settle(marks, committed);
  for (const background_statement& gone : settled.withdrawn)
    tell_of_background(on_, control_, gone.id, {.state = control::background_state::withdrawn});
  const auto warn = [this](std::int64_t id, std::string_view why) {
    send_to_client(warning({.message = "what the transaction has deferred is not carried out (" +
                                       std::to_string(id) + "): " + std::string(why),
                            .hint = "Run the statement again, outside a transaction."}));
  };
  for (const background_statement& lost : settled.unsettled) {
    log::warning<"deferred_statement_unsettled">({{"database", who_.database}, {"background", lost.id}});
    warn(lost.id, "it is not known to be committed");
  }
  for (background_statement& each : settled.standing) {
    const std::int64_t id = each.id;
    const bool taken = on_.run_in_background(std::move(each));
    if (!taken) {
      tell_of_background(on_, control_, id, not_taken());
      warn(id, too_many_in_background);
      continue;
    }
    send_to_client(
        notice(said("what the transaction has deferred is carried out now (" + std::to_string(id) + ")",
                    "SHOW DDL in the admin console follows it; tidegate.background tells how it ended.")));
  }
}

void client_session::schema_changed() {
  if (core_.schema() == nullptr) return;
  core_.schema()->changed();
  memory().schema_changes = !core_.pipeline().at_rest();
}

}  // namespace tidegate::session
