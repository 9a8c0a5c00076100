#include "proxy/session/setting_bounds.hpp"

#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/replies.hpp"

#include <array>
#include <string>

namespace tidegate::session {
namespace {

struct bound {
  const char* name;
  std::optional<config::milliseconds> most;
  metrics::clamped_setting counted;
};

std::array<bound, 3> bounds_of(const config::settings& settings) {
  const auto& clamp = settings.locks.clamp;
  return {{{"lock_timeout", clamp.lock_timeout, metrics::clamped_setting::lock_timeout},
           {"statement_timeout", clamp.statement_timeout, metrics::clamped_setting::statement_timeout},
           {"idle_in_transaction_session_timeout", clamp.idle_in_transaction_session_timeout,
            metrics::clamped_setting::idle_in_transaction_session_timeout}}};
}

}  // namespace

bool has_setting_bounds(const config::settings& settings) {
  for (const bound& b : bounds_of(settings)) {
    if (b.most) return true;
  }
  return false;
}

boost::asio::awaitable<bool> keep_settings_in_bounds(client_session& session, server_dialogue& server,
                                                     const config::settings& settings, dialogue_end end) {
  const auto status = session.state().pipeline().status();
  if (!has_setting_bounds(settings) || status == core::transaction_status::failed ||
      session.state().pipeline().skipping())
    co_return false;
  std::string values;
  for (const bound& b : bounds_of(settings)) {
    if (!b.most) continue;
    values += values.empty() ? "" : ", ";
    values += "('" + std::string(b.name) + "', " + std::to_string(b.most->count()) + ")";
  }
  // pg_settings tells these three in milliseconds; 0 is no timeout at all, which is above every bound. A
  // session-wide set_config in a transaction is undone with it, as what the client set is.
  const auto answer =
      co_await server.run_sql(end,
                              "SELECT s.name, pg_catalog.set_config(s.name, b.most || 'ms', false) FROM "
                              "pg_catalog.pg_settings s, (VALUES " +
                                  values +
                                  ") AS b(name, most) WHERE s.name OPERATOR(pg_catalog.=) b.name AND "
                                  "(s.setting::pg_catalog.int8 OPERATOR(pg_catalog.=) 0 OR "
                                  "s.setting::pg_catalog.int8 OPERATOR(pg_catalog.>) b.most)");
  if (!answer || !answer->ok() || answer->rows.empty()) co_return false;
  for (const control::text_row& row : answer->rows.front()) {
    const std::string name = control::text(row, 0);
    for (const bound& b : bounds_of(settings)) {
      if (name == b.name) session.on().counters.settings_clamped[b.counted].add();
    }
    session.send_to_client(
        notice({.sqlstate = std::string(protocol::sqlstate::successful_completion),
                .message = name + " was set to " + control::text(row, 1) +
                           ", the most that the gateway's policy allows",
                .hint = "The bound is locks.clamp." + name + " in the gateway's configuration."}));
  }
  co_return !answer->rows.front().empty();
}

void tell_bound_of_default(client_session& session, const config::settings& settings,
                           const sql::variable_set& setting) {
  if (setting.form != sql::set_form::set) return;
  for (const bound& b : bounds_of(settings)) {
    if (!b.most || setting.name != b.name) continue;
    session.send_to_client(
        notice({.sqlstate = std::string(protocol::sqlstate::successful_completion),
                .message = setting.name + " stays within " + std::to_string(b.most->count()) +
                           " ms for sessions through the gateway, whatever the default",
                .hint = "The bound is locks.clamp." + setting.name + " in the gateway's configuration."}));
  }
}

}  // namespace tidegate::session
