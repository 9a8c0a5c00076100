#include "proxy/cli/doctor.hpp"

#include "config/load.hpp"
#include "policies/sql/quote.hpp"
#include "proxy/control/blockers.hpp"
#include "proxy/control/pg_connection.hpp"
#include "proxy/control/wait_for.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

namespace tidegate::cli {

namespace asio = boost::asio;

namespace {

constexpr int oldest_version = 120000;
constexpr int newest_major = 18;

bool is_local(std::string_view address) {
  return address.empty() || address.starts_with('/') || address.starts_with("127.") || address == "::1" ||
         address == "localhost";
}

std::string ident(const std::string& name) {
  return sql::quote_identifier(name);
}

std::string duration(std::int64_t ms) {
  return control::human_duration(std::chrono::milliseconds(ms));
}

void advise_on_version(const control::server_examination& server, std::vector<advice>& list) {
  const std::string shown = "PostgreSQL " + server.version_text;
  if (server.version < oldest_version)
    list.push_back({severity::problem, shown + " is older than anything Tidegate knows",
                    "upgrade to PostgreSQL 12 or later; until then the facts of its catalog can't be read"});
  else if (server.version / 10000 > newest_major)
    list.push_back(
        {severity::warning, shown + " is newer than what Tidegate was tested with (12 to 18)",
         "look for a newer Tidegate; statements it can't parse are handled as policies.on_unparsable says"});
  else if (server.version >= 140000 && server.version < 140004)
    list.push_back(
        {severity::warning,
         shown + ": CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY can corrupt indexes in 14.0 to 14.3",
         "upgrade to 14.4 or later; until then Tidegate rewrites nothing to CONCURRENTLY here"});
  if (server.in_recovery)
    list.push_back({severity::warning, "the server is a standby: no schema change can run here",
                    "let `host` name the primary"});
}

void advise_on_rights(const control::server_examination& server, std::vector<advice>& list) {
  const std::string role = ident(server.role);
  if (server.superuser)
    list.push_back({severity::note,
                    "the control role " + role + " is a superuser, which Tidegate does not need",
                    "CREATE ROLE tidegate LOGIN; GRANT pg_monitor TO tidegate; and name it as control.user"});
  if (!server.sees_all_sessions)
    list.push_back({severity::warning,
                    "the control role " + role +
                        " can't see other roles' sessions: blockers are named by pid only, "
                        "autovacuum is not recognised",
                    "GRANT pg_monitor TO " + role + ";"});
  if (!server.may_create_schema)
    list.push_back({severity::note,
                    "the control role " + role + " may not create the schema tidegate in " +
                        ident(server.database) + ", which the ledger and changes in several steps will need",
                    "GRANT CREATE ON DATABASE " + ident(server.database) + " TO " + role + ";"});
  for (const std::string& owner : server.foreign_owners)
    list.push_back({severity::note,
                    "the control role " + role + " can't work on tables of " + ident(owner) +
                        " in the background, which changes in several steps will need",
                    "GRANT " + ident(owner) + " TO " + role + ";"});
}

void advise_on_stored_settings(const control::server_examination& server, std::vector<advice>& list) {
  for (const control::stored_setting& each : server.stored) {
    std::string change = "ALTER ";
    change += each.role.empty() ? (each.database.empty() ? "ROLE ALL" : "DATABASE " + ident(each.database))
                                : "ROLE " + ident(each.role);
    if (!each.role.empty() && !each.database.empty()) change += " IN DATABASE " + ident(each.database);
    const std::string where = change.substr(std::string_view("ALTER ").size());
    if (each.name == "standard_conforming_strings") {
      if (each.value == "off")
        list.push_back({severity::warning,
                        where + " turns standard_conforming_strings off: the same text is another statement",
                        change + " RESET standard_conforming_strings;"});
      continue;
    }
    if (control::setting_in_ms(each.value) != 0) continue;
    list.push_back({severity::warning, where + " sets " + each.name + " to 0: no limit at all",
                    change + " RESET " + each.name + ";"});
  }
}

void advise_on_settings(const control::server_examination& server, std::vector<advice>& list) {
  const std::string database = "ALTER DATABASE " + ident(server.database) + " SET ";
  if (!server.standard_conforming_strings)
    list.push_back({severity::warning,
                    "standard_conforming_strings is off: the same text is another statement than elsewhere",
                    "ALTER SYSTEM SET standard_conforming_strings = on; SELECT pg_reload_conf();"});
  if (server.idle_in_transaction_timeout_ms == 0)
    list.push_back(
        {severity::warning,
         "idle_in_transaction_session_timeout is 0: a forgotten transaction blocks schema changes for ever",
         database + "idle_in_transaction_session_timeout = '5min';"});
  if (server.lock_timeout_ms == 0)
    list.push_back({severity::note,
                    "lock_timeout is 0: what goes round the gateway may wait for locks without end (DDL "
                    "through it is bounded "
                    "all the same)",
                    database + "lock_timeout = '5s';"});
  if (server.deadlock_timeout_ms > 2000)
    list.push_back({severity::warning,
                    "deadlock_timeout is " + duration(server.deadlock_timeout_ms) +
                        ": only after that does an autovacuum give way to a schema change",
                    "ALTER SYSTEM SET deadlock_timeout = '1s'; SELECT pg_reload_conf();"});
  if (server.wal_level == "minimal")
    list.push_back({severity::note,
                    "wal_level is minimal: no standby and no base backup of this server is possible", ""});
}

void advise_on_state(const control::server_examination& server, std::vector<advice>& list) {
  constexpr std::int64_t long_for_prepared_ms = 60'000;
  if (server.oldest_prepared_transaction_ms > long_for_prepared_ms)
    list.push_back(
        {severity::warning,
         std::to_string(server.prepared_transactions) + " prepared transaction(s) are open, the oldest for " +
             duration(server.oldest_prepared_transaction_ms) + ": their locks outlive every session",
         "SELECT gid, owner, prepared FROM pg_prepared_xacts; then COMMIT PREPARED or ROLLBACK PREPARED "
         "each"});
  for (const std::string& index : server.invalid_indexes)
    list.push_back({severity::warning,
                    "the index " + index + " is invalid: it costs writes, may reject rows, and serves nobody",
                    "DROP INDEX CONCURRENTLY " + index + "; and build it again if it is wanted"});
}

void advise_on_guard(const control::server_examination& server, std::vector<advice>& list) {
  const std::string again =
      "tidegate guard install --database URI --control-role " + ident(server.role) + " (docs/guard.md)";
  switch (server.guard) {
    case control::guard_state::absent:
      list.push_back(
          {severity::fine,
           "no server guard is installed: DDL inside functions, and of direct connections, is not looked at",
           ""});
      break;
    case control::guard_state::in_force:
      list.push_back(
          {severity::fine, "the server guard is installed: DDL that goes round the gateway is refused", ""});
      break;
    case control::guard_state::disabled:
      list.push_back({severity::warning, "the server guard is installed, and its event triggers are disabled",
                      "ALTER EVENT TRIGGER … ENABLE each, or tidegate guard remove"});
      break;
    case control::guard_state::closed:
      list.push_back({severity::problem,
                      "the server guard refuses DDL through this gateway: the control role " +
                          ident(server.role) + " may not ask it for vouches",
                      again});
      break;
    case control::guard_state::untrusted:
      list.push_back(
          {severity::problem,
           "the server guard refuses DDL through this gateway: its schema or its functions belong to "
           "another role than its event triggers, so that the gateway does not call them",
           again});
      break;
  }
}

void advise_on_connections(const control::server_examination& server, const config::database_settings& entry,
                           const config::settings& settings, std::vector<advice>& list) {
  const std::int64_t usable = server.max_connections - server.reserved_connections;
  const std::int64_t wanted = entry.pool.size          ? static_cast<std::int64_t>(*entry.pool.size)
                              : entry.max_clients != 0 ? entry.max_clients
                                                       : settings.limits.max_clients;
  if (wanted > usable)
    list.push_back({severity::note,
                    "up to " + std::to_string(wanted) + " clients may come, the server takes " +
                        std::to_string(usable) + ": those beyond are refused by it",
                    "set databases." + ident(entry.name) + ".limits.max_clients to what the server takes"});
}

// Counts and prints what is found.
class report {
 public:
  explicit report(std::ostream& out) : out_(out) {}

  void section(const std::string& title) { out_ << "\n" << title << "\n"; }
  void add(const advice& each) {
    constexpr std::string_view words[] = {"ok      ", "note    ", "warning ", "problem "};
    out_ << "  " << words[static_cast<std::size_t>(each.how_bad)] << each.what << "\n";
    if (!each.remedy.empty()) out_ << "          -> " << each.remedy << "\n";
    ++counts_[static_cast<std::size_t>(each.how_bad)];
  }
  void add(const std::vector<advice>& list) {
    for (const advice& each : list) add(each);
  }
  std::size_t count(severity how_bad) const { return counts_[static_cast<std::size_t>(how_bad)]; }

 private:
  std::ostream& out_;
  std::size_t counts_[4] = {};
};

struct visit {
  std::optional<control::server_examination> server;
  bool uses_tls = false;
  std::chrono::milliseconds took{0};
  control::sql_error error;  // when there is no examination
};

asio::awaitable<visit> examine(control::control_target target) {
  visit result;
  const auto began = std::chrono::steady_clock::now();
  control::pg_connection connection(co_await asio::this_coro::executor);
  const auto connected = co_await connection.connect(std::move(target));
  if (!connected) {
    result.error = connected.error();
    co_return result;
  }
  result.uses_tls = connection.uses_tls();
  result.took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  auto examined = co_await control::examine_server(connection);
  if (examined)
    result.server = std::move(*examined);
  else
    result.error = examined.error();
  co_return result;
}

advice unreachable(const control::sql_error& error, const config::database_settings& entry) {
  advice said{severity::problem, "can't be reached: " + error.message, ""};
  const std::string role = ident(entry.control.user);
  if (error.sqlstate == "28P01" || error.sqlstate == "28000")
    said.remedy = "check control.user and its password, and that pg_hba.conf lets " + role + " in from here";
  else if (error.sqlstate == "3D000")
    said.remedy = "set control.dbname to a database that exists";
  else if (error.sqlstate == "42501")
    said.remedy = "GRANT CONNECT ON DATABASE … TO " + role + ";";
  else
    said.remedy = "check host and port, and that the server runs";
  return said;
}

// False when the server could not be reached.
bool visit_database(const config::database_settings& entry, const config::settings& settings, report& to) {
  // "*" stands for any database: the one that every server has is looked at.
  auto target = control::control_target_of(entry, entry.name == "*" ? "postgres" : entry.name);
  to.section("database " + entry.name +
             (target && entry.name == "*" ? " (looked at: " + target->database + ")" : "") + " at " +
             entry.host + ":" + std::to_string(entry.port));
  if (!target) {
    to.add({severity::warning,
            "has no control role: every fact is assumed at its worst, blockers are not named",
            "CREATE ROLE tidegate LOGIN; GRANT pg_monitor TO tidegate; and set control.user"});
    return true;
  }
  target->settings.own_search_path = true;
  target->settings.lock_timeout = target->settings.statement_timeout = std::chrono::milliseconds(0);
  const visit found = control::wait_for(examine(*target));
  if (!found.server) {
    to.add(unreachable(found.error, entry));
    return false;
  }
  to.add({severity::fine,
          "PostgreSQL " + found.server->version_text + " answers in " + std::to_string(found.took.count()) +
              " ms as " + ident(found.server->role) + (found.uses_tls ? " with TLS" : " without TLS"),
          ""});
  if (!found.uses_tls && !is_local(entry.host))
    to.add({severity::warning, "the way to the server is not encrypted",
            "set server_tls.mode to verify-full, with ca"});
  to.add(advise_on(*found.server, entry, settings));
  return true;
}

}  // namespace

std::vector<advice> advise_on(const config::settings& settings) {
  std::vector<advice> list;
  const bool open_to_others = std::ranges::any_of(
      settings.listen, [](const auto& each) { return !each.is_unix() && !is_local(each.address); });
  const bool plain_to_others = std::ranges::any_of(settings.listen, [](const auto& each) {
    return !each.is_unix() && !is_local(each.address) && each.tls.mode < config::tls_mode::require;
  });
  const auto uses = [&](config::auth_method method) {
    return std::ranges::any_of(settings.auth.rules, [&](const auto& rule) { return rule.method == method; });
  };
  if (open_to_others && uses(config::auth_method::trust))
    list.push_back({severity::warning,
                    "clients from other machines may be let in without proof (auth: trust)",
                    "use scram-sha-256, or list the addresses that are trusted under auth.rules"});
  if (plain_to_others)
    list.push_back({severity::warning, "clients from other machines may connect without TLS",
                    "set listen[].tls.mode to require, with certificate and key"});
  if (uses(config::auth_method::md5))
    list.push_back({severity::note, "md5 authentication is in use; PostgreSQL is about to drop it",
                    "store SCRAM-SHA-256 secrets and set the method to scram-sha-256"});
  if (uses(config::auth_method::passthrough) && plain_to_others)
    list.push_back(
        {severity::note,
         "passthrough without client TLS relays the login; with client TLS the gateway asks for the "
         "password in clear text inside it",
         ""});
  if (settings.policies.policy.mode != policies::policy_mode::enforce)
    list.push_back({severity::note,
                    settings.policies.policy.mode == policies::policy_mode::observe
                        ? "policies.mode is observe: nothing is refused, everything is counted"
                        : "policies.mode is off: schema changes are not looked at",
                    "set policies.mode to enforce when the findings are understood"});
  if (settings.admin.users.empty())
    list.push_back({severity::note, "nobody may use the admin console", "set admin.users"});
  return list;
}

std::vector<advice> advise_on(const control::server_examination& server,
                              const config::database_settings& entry, const config::settings& settings) {
  std::vector<advice> list;
  advise_on_version(server, list);
  advise_on_rights(server, list);
  advise_on_settings(server, list);
  advise_on_stored_settings(server, list);
  advise_on_connections(server, entry, settings, list);
  advise_on_state(server, list);
  advise_on_guard(server, list);
  return list;
}

int run_doctor(const std::string& config_file, std::ostream& out, std::ostream& err) {
  const config::load_result loaded = config::load_file(config_file, config::default_load_options());
  if (!loaded.value) {
    for (const config::problem& each : loaded.problems) err << config::to_text(config_file, each) << "\n";
    return 2;
  }
  const config::settings& settings = *loaded.value;
  report to(out);
  to.section("configuration " + config_file);
  to.add({severity::fine, "can be read", ""});
  to.add(advise_on(settings));
  bool all_reached = true;
  for (const config::database_settings& entry : settings.databases)
    all_reached = visit_database(entry, settings, to) && all_reached;

  const std::size_t problems = to.count(severity::problem), warnings = to.count(severity::warning);
  out << "\n"
      << problems << " problem(s), " << warnings << " warning(s), " << to.count(severity::note)
      << " note(s)\n";
  if (!all_reached) return 3;
  return problems + warnings == 0 ? 0 : 1;
}

}  // namespace tidegate::cli
