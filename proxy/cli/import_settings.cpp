// [pgbouncer]: listeners, limits, timeouts, console, log, and what has no counterpart.

#include "proxy/cli/import_parts.hpp"

#include <algorithm>
#include <array>

namespace tidegate::cli {
namespace {

using key_and_why = std::pair<std::string_view, std::string_view>;

// Set for a reason that Tidegate has another answer to, or none.
constexpr auto without_counterpart = std::to_array<key_and_why>({
    {"max_db_connections", "pool.size bounds server connections per user; there is no bound per database"},
    {"max_user_connections", "there is no bound of server connections per user over all databases"},
    {"transaction_timeout",
     "no counterpart; set transaction_timeout or idle_in_transaction_session_timeout on the server"},
    {"unix_socket_group", "no counterpart; unix_socket_mode and the folder's permissions decide"},
    {"disable_pqexec", "simple queries are always possible"},
    {"application_name_add_host",
     "the name is not changed; the audit log and SHOW CLIENTS have the client's address"},
    {"peer_id", "a cancel request has to reach the gateway whose client it is for"},
    {"auth_ldap_options", "there is no LDAP"},
    {"syslog", "no counterpart; the log goes to stderr, which systemd takes, or to log.file"},
    {"user", "the gateway runs as whoever starts it: a matter of its service"},
    {"client_tls_ciphers", "OpenSSL's defaults apply"},
    {"client_tls13_ciphers", "OpenSSL's defaults apply"},
    {"client_tls_ecdhcurve", "OpenSSL's defaults apply"},
    {"client_tls_dheparams", "OpenSSL's defaults apply"},
    {"server_tls_ciphers", "OpenSSL's defaults apply"},
    {"server_tls13_ciphers", "OpenSSL's defaults apply"},
    {"server_tls_protocols", "TLS 1.2 and later"},
    {"server_reset_query_always", "in session mode a server connection is not used again"},
    {"so_reuseport", "one gateway uses every core; a second one on the same port is refused"},
    {"login_notify_message", "no counterpart"},
    {"tcp_user_timeout", "no counterpart"},
});

// Nothing is lost without them.
constexpr auto not_needed = std::to_array<std::string_view>({
    "autodb_idle_timeout",
    "client_tls_sslmode",
    "conffile",
    "dns_max_ttl",
    "dns_nxdomain_ttl",
    "dns_zone_check_period",
    "ignore_startup_parameters",
    "job_name",
    "listen_backlog",
    "log_connections",
    "log_disconnections",
    "log_pooler_errors",
    "log_stats",
    "max_packet_size",
    "max_prepared_statements",
    "min_pool_size",
    "reserve_pool_size",
    "pidfile",
    "pkt_buf",
    "pool_idle_timeout",
    "query_wait_notify",
    "reserve_pool_timeout",
    "resolv_conf",
    "sbuf_loopcnt",
    "scram_iterations",
    "server_check_delay",
    "server_check_query",
    "server_fast_close",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_round_robin",
    "service_name",
    "stats_period",
    "suspend_timeout",
    "syslog_facility",
    "syslog_ident",
    "tcp_defer_accept",
    "tcp_keepalive",
    "tcp_keepcnt",
    "tcp_keepidle",
    "tcp_keepintvl",
    "tcp_socket_buffer",
    "track_extra_parameters",
});

bool is_off(std::string_view value) {
  return value.empty() || value == "0" || value == "0.0" || value == "off" || value == "no" ||
         value == "false" || value == "default" || value == "auto" || value == "secure" || value == "all";
}

yaml_text client_tls(import_state& state) {
  yaml_text tls;
  std::string mode = state.setting("client_tls_sslmode", "disable");
  const std::string key = state.absolute(state.setting("client_tls_key_file", ""));
  const std::string certificate = state.absolute(state.setting("client_tls_cert_file", ""));
  const std::string ca = state.absolute(state.setting("client_tls_ca_file", ""));
  const std::string protocols = state.setting("client_tls_protocols", "secure");
  if (mode == "disable") return tls;
  if (key.empty() || certificate.empty()) {
    state.remark_key("client_tls_sslmode",
                     mode + " needs client_tls_key_file and client_tls_cert_file; there is no TLS");
    return tls;
  }
  // There they mean the same; here verify-full asks for a certificate in the user's name.
  if (mode == "verify-full") mode = "verify-ca";
  if (mode == "verify-ca" && ca.empty()) {
    state.remark_key(
        "client_tls_sslmode",
        "verify needs client_tls_ca_file here; require is written, which asks for no certificate");
    mode = "require";
  }
  tls.set("mode", mode);
  tls.set("certificate", certificate);
  tls.set("key", key);
  if (!ca.empty()) tls.set("ca", ca);
  if (protocols == "tlsv1.3")
    tls.set("min_version", "1.3");
  else if (protocols.find("1.0") != std::string::npos || protocols.find("1.1") != std::string::npos ||
           protocols == "all")
    state.remark_key("client_tls_protocols", "TLS 1.2 is the oldest version here");
  return tls;
}

// Whole numbers and durations that mean the same under another name.
void copy_count(import_state& state, std::string_view key, yaml_text& to, std::string_view name,
                std::string_view otherwise) {
  const std::string value = state.setting(key, otherwise);
  if (!is_count(value))
    state.remark_key(key, "\"" + value + "\" is no number");
  else if (value != "0")
    to.set(name, value);
}

void copy_duration(import_state& state, std::string_view key, yaml_text& to, std::string_view name,
                   bool needs_limit) {
  const auto value = state.setting(key);
  if (!value) return;
  const auto duration = duration_of_seconds(*value);
  if (!duration)
    state.remark_key(key, "\"" + *value + "\" is no number of seconds");
  else if (*duration == "0" && needs_limit) {
    state.remark_key(key, "0 is not possible here: 1h is written");
    to.set(name, "1h");
  } else {
    to.set(name, *duration);
  }
}

}  // namespace

void import_listeners(import_state& state) {
  const std::string port = state.setting("listen_port", "6432");
  const yaml_text tls = client_tls(state);
  yaml_text listen;
  const auto add = [&](const std::string& address) {
    yaml_text& entry = listen.add();
    entry.set("address", address);
    entry.set("port", port);
    if (tls.empty()) return;
    entry["tls"] = tls;
    state.asks_for_certificates = entry["tls"].has("ca");
  };
  for (const std::string& address : comma_list(state.setting("listen_addr", ""))) {
    if (address != "*") {
      add(address);
      continue;
    }
    add("0.0.0.0");
    add("::");
    state.remark_key("listen_addr",
                     "\"*\" is an entry for IPv4 and one for IPv6; take out \"::\" where there is no IPv6");
  }
  const std::string sockets = state.setting("unix_socket_dir", "/tmp");
  const std::string mode = state.setting("unix_socket_mode", "");
  if (sockets.starts_with('@')) {
    state.remark_key("unix_socket_dir", "the gateway does not listen in the abstract namespace; left out");
  } else if (!sockets.empty()) {
    yaml_text& entry = listen.add();
    entry.set("socket", state.absolute(sockets) + "/.s.PGSQL." + port);
    if (!mode.empty()) entry.set("socket_mode", mode);
  }
  if (listen.empty()) {
    state.remark(state.options.file,
                 "neither listen_addr nor unix_socket_dir: an entry for 127.0.0.1 is written");
    add("127.0.0.1");
  }
  state.out["listen"] = std::move(listen);
}

void import_limits(import_state& state) {
  yaml_text& limits = state.out["limits"];
  // Written even when it is the default, which is another one there.
  copy_count(state, "max_client_conn", limits, "max_clients", "100");
  copy_count(state, "max_db_client_connections", limits, "max_clients_per_database", "0");
  copy_count(state, "max_user_client_connections", limits, "max_clients_per_user", "0");
  yaml_text timeouts;
  copy_duration(state, "client_login_timeout", timeouts, "login", true);
  copy_duration(state, "client_idle_timeout", timeouts, "client_idle", false);
  copy_duration(state, "idle_transaction_timeout", timeouts, "idle_in_transaction", false);
  copy_duration(state, "query_timeout", timeouts, "query", false);
  copy_duration(state, "query_wait_timeout", timeouts, "query_wait", false);
  copy_duration(state, "server_connect_timeout", timeouts, "server_connect", true);
  copy_duration(state, "cancel_wait_timeout", timeouts, "cancel", true);
  if (!timeouts.empty()) state.out["timeouts"] = std::move(timeouts);
}

void import_rest(import_state& state) {
  yaml_text admin;
  const auto users = comma_list(state.setting("admin_users", ""));
  const auto watchers = comma_list(state.setting("stats_users", ""));
  if (!users.empty()) admin.set("users", users);
  if (!watchers.empty()) admin.set("stats_users", watchers);
  const bool name_is_free = std::ranges::none_of(
      state.ini.databases, [](const ini_entry& entry) { return entry.key == "pgbouncer"; });
  // So that whoever connects to the console there finds this one.
  if (!admin.empty() && name_is_free) admin.set("aliases", std::vector<std::string>{"pgbouncer"});
  if (!admin.empty()) state.out["admin"] = std::move(admin);

  const std::string file = state.absolute(state.setting("logfile", ""));
  const std::string verbose = state.setting("verbose", "0");
  if (!file.empty()) state.out["log"].set("file", file);
  if (verbose != "0") state.out["log"].set("level", "debug");
  // The first look at a new place: decides and counts, and refuses nothing.
  state.out["policies"].set("mode", "observe");

  for (const auto& [key, why] : without_counterpart) {
    const auto value = state.setting(key);
    if (value && !is_off(*value)) state.remark_key(key, std::string(why));
  }
  if (const auto ignored = state.setting("ignore_startup_parameters"); ignored && !ignored->empty())
    state.remark_key("ignore_startup_parameters",
                     "not needed, and not the same: every parameter of a client reaches the server");
  for (const std::string_view key : not_needed) state.setting(key);
  if (!state.ini.peers.empty())
    state.remark(state.ini.peers.front().place,
                 "[peers]: a cancel request has to reach the gateway whose client it is for");
  for (const ini_entry& entry : state.ini.settings) {
    if (!state.read.contains(entry.key)) state.remark(entry.place, entry.key + ": not known");
  }
}

}  // namespace tidegate::cli
