#include "proxy/admin/topics.hpp"

#include "proxy/version.hpp"

#include <algorithm>
#include <array>

#include <fmt/chrono.h>

namespace tidegate::admin {
namespace {

using enum column_type;

constexpr auto pools_columns = std::to_array<column>({
    {"database"},
    {"user"},
    {"cl_active", int4},
    {"cl_waiting", int4},
    {"cl_active_cancel_req", int4},
    {"cl_waiting_cancel_req", int4},
    {"sv_active", int4},
    {"sv_active_cancel", int4},
    {"sv_being_canceled", int4},
    {"sv_idle", int4},
    {"sv_used", int4},
    {"sv_tested", int4},
    {"sv_login", int4},
    {"maxwait", int4},
    {"maxwait_us", int4},
    {"pool_mode"},
    {"load_balance_hosts"},
});

constexpr auto socket_columns = std::to_array<column>({
    {"type"},
    {"user"},
    {"database"},
    {"replication"},
    {"state"},
    {"addr"},
    {"port", int4},
    {"local_addr"},
    {"local_port", int4},
    {"connect_time"},
    {"request_time"},
    {"wait", int4},
    {"wait_us", int4},
    {"close_needed", int4},
    {"ptr"},
    {"link"},
    {"remote_pid", int4},
    {"tls"},
    {"application_name"},
    {"prepared_statements", int4},
    {"id", int8},
    {"doing"},
});
// The last one is of clients only.
constexpr columns server_columns{socket_columns.data(), socket_columns.size() - 1};

constexpr auto stats_columns = std::to_array<column>({
    {"database"},
    {"total_server_assignment_count", int8},
    {"total_xact_count", int8},
    {"total_query_count", int8},
    {"total_received", int8},
    {"total_sent", int8},
    {"total_xact_time", int8},
    {"total_query_time", int8},
    {"total_wait_time", int8},
    {"total_client_login_count", int8},
    {"avg_server_assignment_count", int8},
    {"avg_xact_count", int8},
    {"avg_query_count", int8},
    {"avg_recv", int8},
    {"avg_sent", int8},
    {"avg_xact_time", int8},
    {"avg_query_time", int8},
    {"avg_wait_time", int8},
    {"avg_client_login_count", int8},
    {"total_requests", int8},
});

// STATS_TOTALS and STATS_AVERAGES share their names.
constexpr auto part_columns = std::to_array<column>({
    {"database"},
    {"server_assignment_count", int8},
    {"xact_count", int8},
    {"query_count", int8},
    {"bytes_received", int8},
    {"bytes_sent", int8},
    {"xact_time", int8},
    {"query_time", int8},
    {"wait_time", int8},
    {"client_login_count", int8},
});

constexpr auto total_columns = std::to_array<column>({{"name"}, {"value", int8}});

constexpr auto databases_columns = std::to_array<column>({
    {"name"},
    {"host"},
    {"port", int4},
    {"database"},
    {"force_user"},
    {"pool_size", int4},
    {"min_pool_size", int4},
    {"reserve_pool_size", int4},
    {"server_lifetime", int4},
    {"pool_mode"},
    {"load_balance_hosts"},
    {"max_connections", int4},
    {"current_connections", int4},
    {"max_client_connections", int4},
    {"current_client_connections", int4},
    {"paused", int4},
    {"disabled", int4},
    {"reserve_pool", int4},
});

constexpr auto users_columns = std::to_array<column>({
    {"name"},
    {"pool_size"},
    {"reserve_pool_size"},
    {"pool_mode"},
    {"max_user_connections", int4},
    {"current_connections", int4},
    {"max_user_client_connections", int4},
    {"current_client_connections", int4},
    {"admin"},
});

constexpr auto lists_columns = std::to_array<column>({{"list"}, {"items", int4}});
constexpr auto config_columns = std::to_array<column>({{"key"}, {"value"}, {"default"}, {"changeable"}});
constexpr auto memory_columns =
    std::to_array<column>({{"name"}, {"size", int8}, {"used", int8}, {"free", int8}, {"memtotal", int8}});
constexpr auto version_columns = std::to_array<column>({{"version"}});
constexpr auto state_columns = std::to_array<column>({{"key"}, {"value"}});
constexpr auto rules_columns =
    std::to_array<column>({{"rule"}, {"verdict"}, {"default"}, {"exceptions", int4}, {"summary"}});
constexpr auto findings_columns = std::to_array<column>({
    {"time"},
    {"database"},
    {"user"},
    {"application_name"},
    {"client"},
    {"rule"},
    {"verdict"},
    {"action"},
    {"outcome"},
    {"sqlstate"},
    {"lock"},
    {"relations"},
    {"message"},
    {"statement"},
});
constexpr auto ddl_columns = std::to_array<column>({
    {"client", int8},
    {"database"},
    {"user"},
    {"application_name"},
    {"remote_pid", int4},
    {"step"},
    {"attempts", int4},
    {"wait", int4},
    {"wait_us", int4},
    {"statement"},
    {"blockers"},
    {"background", int8},
});
constexpr auto ledger_columns = std::to_array<column>({
    {"database"},
    {"id", int8},
    {"time"},
    {"duration"},
    {"outcome"},
    {"user"},
    {"role"},
    {"application_name"},
    {"client"},
    {"action"},
    {"findings"},
    {"plan", int8},
    {"locks"},
    {"statement"},
    {"undo"},
});
constexpr auto pins_columns = std::to_array<column>({
    {"client", int8},
    {"database"},
    {"user"},
    {"application_name"},
    {"server", int8},
    {"reasons"},
    {"request_time"},
});
constexpr auto prepared_columns = std::to_array<column>({{"name"}, {"query"}, {"uses", int8}});
constexpr auto help_columns = std::to_array<column>({{"command"}, {"meaning"}});

rows make_version(const overview&) {
  return {make_row("Tidegate " + std::string(version))};
}

rows make_state(const overview& all) {
  const auto yes_or_no = [](bool yes) { return yes ? "yes" : "no"; };
  return {make_row("active", yes_or_no(!all.all_paused && !all.draining)),
          make_row("paused", yes_or_no(all.all_paused)), make_row("suspended", "no"),
          make_row("draining", yes_or_no(all.draining))};
}

rows make_help(const overview&);

constexpr auto all_topics = std::to_array<topic>({
    {"help", help_columns, make_help, "this list"},
    {"pools", pools_columns, make_pools, "clients and servers by database and user"},
    {"clients", socket_columns, make_clients, "every client"},
    {"servers", server_columns, make_servers, "every connection to a server"},
    {"pins", pins_columns, make_pins, "clients of transaction pools that keep their server, and why"},
    {"prepared_statements", prepared_columns, make_prepared_statements,
     "statements that transaction pools share"},
    {"stats", stats_columns, make_stats,
     "what was done in each database, since the start and in the last minute"},
    {"stats_totals", part_columns, make_stats_totals, "the first half of it"},
    {"stats_averages", part_columns, make_stats_averages, "the second half of it"},
    {"totals", total_columns, make_totals, "all databases together"},
    {"databases", databases_columns, make_databases,
     "entries of the configuration, and databases that \"*\" serves now"},
    {"users", users_columns, make_users, "users that the configuration names or that are here"},
    {"lists", lists_columns, make_lists, "how many there are of what"},
    {"config", config_columns, make_config, "settings, and which of them SET can change"},
    {"mem", memory_columns, make_memory, "memory"},
    {"version", version_columns, make_version, "the gateway's version"},
    {"state", state_columns, make_state, "whether the gateway is paused or draining"},
    {"rules", rules_columns, make_rules, "what the present policy says to each rule"},
    {"findings", findings_columns, make_findings, "the last findings, newest first"},
    {"ledger", ledger_columns, make_ledger,
     "schema changes of every database, newest first, and what takes them back; SHOW LEDGER database: of "
     "one"},
    {"ddl", ddl_columns, make_ddl,
     "schema changes that run or wait, guarded, in steps or in the background, and who is in their way"},
});

rows make_help(const overview&) {
  rows out;
  for (const topic& each : all_topics) {
    std::string name(each.name);
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    out.push_back(make_row("SHOW " + name, std::string(each.help)));
  }
  constexpr auto commands = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"PAUSE [database]", "no new logins and transactions; returns when those that run have ended"},
      {"RESUME [database]", "takes PAUSE and KILL back"},
      {"DISABLE database", "new clients are refused"},
      {"ENABLE database", "takes DISABLE back"},
      {"KILL [database]", "ends every client at once; new ones wait for RESUME"},
      {"KILL_CLIENT id", "ends one client of SHOW CLIENTS"},
      {"RECONNECT [database]", "ends each client and its server once it is between transactions"},
      {"RELOAD", "reads the configuration again, as SIGHUP"},
      {"SHUTDOWN", "ends the gateway at once"},
      {"SHUTDOWN WAIT_FOR_SERVERS", "drains: each client may end its transaction, as SIGTERM"},
      {"SHUTDOWN WAIT_FOR_CLIENTS", "takes nobody new and ends with the last client"},
      {"SET key = value", "changes a setting of SHOW CONFIG until the next reload"},
  });
  for (const auto& [command, meaning] : commands)
    out.push_back(make_row(std::string(command), std::string(meaning)));
  return out;
}

}  // namespace

std::span<const topic> topics() {
  return all_topics;
}

const topic* find_topic(std::string_view name) {
  const auto found = std::ranges::find(all_topics, name, &topic::name);
  return found == all_topics.end() ? nullptr : &*found;
}

std::optional<std::string> time_text(wall_clock::time_point at) {
  if (at == wall_clock::time_point{}) return std::nullopt;
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(wall_clock::to_time_t(at)));
}

}  // namespace tidegate::admin
