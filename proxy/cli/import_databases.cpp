// [databases] and [users].

#include "config/settings.hpp"
#include "proxy/cli/import_parts.hpp"

#include <algorithm>
#include <array>

namespace tidegate::cli {
namespace {

// Keys of a connection string that have no counterpart, and why.
constexpr auto without_counterpart = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"min_pool_size", "in session mode a server connection is opened for its client, not ahead"},
    {"reserve_pool", "in session mode there is no reserve beside pool.size"},
    {"reserve_pool_size", "in session mode there is no reserve beside pool.size"},
    {"max_db_connections", "pool.size bounds server connections per user; there is no bound per database"},
    {"connect_query", "not run; ALTER ROLE … SET or ALTER DATABASE … SET does it on the server"},
    {"auth_user", "auth.auth_query has one user for all databases"},
    {"auth_query", "auth.auth_query has one query for all databases"},
    {"auth_dbname", "auth.auth_query asks one database"},
    {"client_encoding", "not set; what the client asks for reaches the server"},
    {"datestyle", "not set; what the client asks for reaches the server"},
    {"timezone", "not set; what the client asks for reaches the server"},
    {"application_name", "not set; the client's own reaches the server"},
    {"query_wait_timeout", "timeouts.query_wait is the same for all databases"},
    {"load_balance_hosts", "an entry has one host"},
});

class database_import {
 public:
  database_import(import_state& state, const ini_entry& entry) : state_(state), entry_(entry) {}

  void run() {
    const auto parsed = parse_connection_string(entry_.value);
    if (!parsed)
      return state_.remark(entry_.place, entry_.key + ": the connection string can't be read; left out");
    for (const auto& [key, value] : *parsed) values_[key] = value;
    std::string name = entry_.key;
    if (name == config::console_database) {
      name += "_db";
      say("the name is the admin console's: it is \"" + name + "\" here, and clients have to ask for that");
      if (!values_.contains("dbname")) values_["dbname"] = entry_.key;
    }
    yaml_text& out = state_.out["databases"][name];
    out = yaml_text();
    write_place(out);
    write_login(out);
    write_pool(out);
    write_tls(out);
    for (const auto& [key, why] : without_counterpart) {
      if (take(key)) say(std::string(key) + ": " + std::string(why));
    }
    take("server_lifetime");  // a server connection lives as long as its client
    for (const auto& [key, value] : values_) say(key + ": not known");
  }

 private:
  void say(const std::string& what) { state_.remark(entry_.place, entry_.key + ": " + what); }

  std::optional<std::string> take(std::string_view key) {
    const auto found = values_.find(std::string(key));
    if (found == values_.end()) return std::nullopt;
    std::string value = std::move(found->second);
    values_.erase(found);
    return value;
  }

  void write_place(yaml_text& out) {
    // Without a host PgBouncer looks where its own unix socket is.
    const std::string sockets = state_.setting("unix_socket_dir", "/tmp");
    const auto hosts = comma_list(take("host").value_or(sockets));
    host_ = hosts.empty() ? std::string("127.0.0.1") : hosts.front();
    if (hosts.size() > 1) say("host: of several hosts only the first is used");
    out.set("host", host_);
    const auto port = take("port");
    if (port && is_count(*port) && *port != "0")
      out.set("port", *port);
    else if (port)
      say("port: \"" + *port + "\" is none");
    if (const auto dbname = take("dbname")) out.set("dbname", *dbname);
  }

  void write_login(yaml_text& out) {
    const auto user = take("user");
    auto password = take("password");
    if (!user && !password) return;
    if (user) out["server_auth"].set("user", *user);
    if (!password && user) {
      const auto known = state_.users.find(*user);
      const bool is_plain = known != state_.users.end() && !known->second.empty() &&
                            !known->second.starts_with("SCRAM-SHA-256$") && !known->second.starts_with("md5");
      if (is_plain) password = known->second;
      if (known != state_.users.end() && !is_plain)
        say("user: auth_file has no password in the clear for \"" + *user +
            "\"; set server_auth.password if the server asks for one");
    }
    if (password) out["server_auth"].set("password", *password);
    if (password)
      say("password: stands in the clear in the new file; keep it private, or use server_auth.password_file");
  }

  void write_pool(yaml_text& out) {
    const std::string mode = take("pool_mode").value_or(state_.setting("pool_mode", "session"));
    const imported_pool pool = import_pool_mode(mode);
    if (!pool.remark.empty()) say(pool.remark);
    out["pool"].set("mode", pool.mode);
    const std::string size = take("pool_size").value_or(state_.setting("default_pool_size", "20"));
    if (pool.keeps_size && is_count(size) && size != "0") out["pool"].set("size", size);
    if (pool.mode == "transaction") write_servers(out["pool"]);
    const std::string most = take("max_db_client_connections").value_or("");
    if (is_count(most) && most != "0") out["limits"].set("max_clients", most);
  }

  // What only a pool that keeps servers has.
  void write_servers(yaml_text& out) {
    const auto count = [&](std::string_view key, const std::optional<std::string>& value) {
      if (value && is_count(*value) && *value != "0") out.set(std::string(key), *value);
    };
    count("min_size", take_or("min_pool_size", "min_pool_size"));
    const auto reserve = take("reserve_pool");
    count("reserve_size", reserve ? reserve : take_or("reserve_pool_size", "reserve_pool_size"));
    if (const auto written = duration_of_seconds(state_.setting("reserve_pool_timeout", "")))
      out.set("reserve_after", *written);
    count("prepared_statements", state_.setting("max_prepared_statements"));
    const auto lifetime = take_or("server_lifetime", "server_lifetime");
    if (const auto written = duration_of_seconds(lifetime.value_or(""))) out.set("server_lifetime", *written);
    if (const auto written = duration_of_seconds(state_.setting("server_idle_timeout", "")))
      out.set("server_idle_timeout", *written);
    if (const auto written = duration_of_seconds(state_.setting("server_check_delay", "")))
      out.set("server_check_after", *written);
  }

  // The entry's own value, else that of all entries.
  std::optional<std::string> take_or(const std::string& own, std::string_view of_all) {
    const auto found = take(own);
    return found ? found : state_.setting(of_all);
  }

  void write_tls(yaml_text& out) {
    const bool is_unix = host_.starts_with('/') || host_.starts_with('@');
    std::string mode = state_.setting("server_tls_sslmode", "prefer");
    const std::string ca = state_.absolute(state_.setting("server_tls_ca_file", ""));
    const std::string certificate = state_.absolute(state_.setting("server_tls_cert_file", ""));
    const std::string key = state_.absolute(state_.setting("server_tls_key_file", ""));
    if (is_unix) return;
    if (mode.starts_with("verify-") && ca.empty()) {
      say("server_tls_sslmode " + mode +
          " needs server_tls_ca_file here; require is written, which checks no certificate");
      mode = "require";
    }
    yaml_text tls;
    if (mode != "prefer") tls.set("mode", mode);
    if (!ca.empty()) tls.set("ca", ca);
    if (!certificate.empty() && !key.empty()) {
      tls.set("certificate", certificate);
      tls.set("key", key);
    }
    if (!tls.empty()) out["server_tls"] = std::move(tls);
  }

  import_state& state_;
  const ini_entry& entry_;
  std::map<std::string, std::string> values_;
  std::string host_;
};

void import_users(import_state& state) {
  for (const ini_entry& user : state.ini.users) {
    const auto parsed = parse_connection_string(user.value);
    if (!parsed) {
      state.remark(user.place, user.key + ": can't be read; left out");
      continue;
    }
    for (const auto& [key, value] : *parsed) {
      if (key == "max_user_client_connections" && is_count(value)) {
        if (value != "0") state.out["limits"]["users"].set(user.key, value);
      } else if (key == "pool_mode" && value == "session") {
        // as everybody
      } else {
        state.remark(user.place, user.key + ": " + key + ": there is no such setting for single users");
      }
    }
  }
}

}  // namespace

void import_databases(import_state& state) {
  for (std::size_t i = 0; i < state.ini.databases.size(); ++i) {
    const ini_entry& entry = state.ini.databases[i];
    const bool comes_again = std::any_of(state.ini.databases.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                         state.ini.databases.end(),
                                         [&](const ini_entry& later) { return later.key == entry.key; });
    if (comes_again)
      state.remark(entry.place, entry.key + ": is there again below, which counts");
    else
      database_import(state, entry).run();
  }
  if (state.out["databases"].empty()) {
    state.remark(state.options.file,
                 "[databases] has nothing that can be used: an entry for 127.0.0.1 is written");
    state.out["databases"]["*"].set("host", "127.0.0.1");
  }
  import_users(state);
}

}  // namespace tidegate::cli
