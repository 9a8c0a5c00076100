#include "config/sections.hpp"

namespace tidegate::config {
namespace {

void read_http(section_reader& root, http_settings& out) {
  const yaml_node* node = root.find("http");
  if (node != nullptr && node->kind == yaml_node::node_kind::scalar) {
    out.enabled = node->scalar != "off";
    if (out.enabled)
      root.refuse("http", "\"" + node->scalar + "\" is not known here", "write off, or {address, port}");
    return;
  }
  root.section("http", [&](section_reader& http) {
    http.text("address", out.address);
    http.number("port", out.port, {0, 65535});
  });
}

void read_limits(section_reader& root, limit_settings& out, const load_options& options) {
  out.parse_bytes = options.parse_limit_bytes;
  root.section("limits", [&](section_reader& limits) {
    limits.number("max_clients", out.max_clients, {1, 1'000'000});
    limits.number("max_clients_per_database", out.max_clients_per_database);
    limits.number("max_clients_per_user", out.max_clients_per_user);
    limits.named("users", "<user>", [&](const std::string& name, section_reader& users) {
      users.number(name, out.users[name]);
    });
    limits.size("query_buffer", out.query_buffer);
    limits.size("parse_bytes", out.parse_bytes);
    constexpr std::size_t smallest_buffer = 8 * 1024, largest_buffer = std::size_t{1} << 30;
    if (out.query_buffer < smallest_buffer || out.query_buffer > largest_buffer) {
      limits.refuse("query_buffer", "is out of range", "write 8KiB to 1GiB");
    }
    if (out.parse_bytes == 0 || out.parse_bytes > options.parse_limit_bytes) {
      limits.refuse("parse_bytes", "is out of range",
                    "the parser takes 1 to " + std::to_string(options.parse_limit_bytes) + " bytes");
    }
  });
}

void read_timeouts(section_reader& root, timeout_settings& out) {
  root.section("timeouts", [&](section_reader& timeouts) {
    timeouts.positive_duration("login", out.login);
    timeouts.duration("client_idle", out.client_idle);
    timeouts.duration("idle_in_transaction", out.idle_in_transaction);
    timeouts.duration("query", out.query);
    timeouts.duration("query_wait", out.query_wait);
    timeouts.positive_duration("server_connect", out.server_connect);
    timeouts.positive_duration("cancel", out.cancel);
    timeouts.duration("shutdown", out.shutdown);
  });
}

void read_locks(section_reader& root, lock_settings& out) {
  root.section("locks", [&](section_reader& locks) {
    locks.positive_duration("lock_timeout", out.lock_timeout);
    locks.positive_duration("ddl_wait_budget", out.ddl_wait_budget);
    locks.positive_duration("stall_budget", out.stall_budget);
    locks.positive_duration("hold_budget", out.hold_budget);
    locks.positive_duration("transaction_wait_budget", out.transaction_wait_budget);
    locks.positive_duration("transaction_hold_budget", out.transaction_hold_budget);
    locks.positive_duration("precheck_age", out.precheck_age);
    locks.boolean("share_gate", out.share_gate);
    locks.section("clamp", [&](section_reader& clamp) {
      auto bound = [&](std::string_view setting, std::optional<milliseconds>& max) {
        clamp.section(setting, [&](section_reader& bounds) { bounds.duration("max", max); });
      };
      bound("lock_timeout", out.clamp.lock_timeout);
      bound("statement_timeout", out.clamp.statement_timeout);
      bound("idle_in_transaction_session_timeout", out.clamp.idle_in_transaction_session_timeout);
    });
  });
}

void read_log(section_reader& root, log_settings& out) {
  root.section("log", [&](section_reader& log) {
    log.word("level", out.level);
    log.word("format", out.format);
    log.file("file", out.file);
  });
}

void read_audit(section_reader& root, audit_settings& out) {
  const yaml_node* node = root.find("audit");
  if (node != nullptr && node->kind == yaml_node::node_kind::scalar) {
    if (node->scalar == "off") {
      out.target = audit_target::off;
    } else if (node->scalar == "stderr") {
      out.target = audit_target::stderr_stream;
    } else {
      root.refuse("audit", "\"" + node->scalar + "\" is not known here",
                  "write off, stderr, or {file: name}");
    }
    return;
  }
  root.section("audit", [&](section_reader& audit) {
    audit.file("file", out.file);
    if (!out.file.empty()) out.target = audit_target::file;
  });
}

}  // namespace

void read_settings(section_reader& root, settings& out, const load_options& options) {
  read_listen(root, out);
  read_http(root, out.http);
  root.number("threads", out.threads, {0, 1024});
  root.word("relay", out.relay);
  read_auth(root, out.auth, options);
  root.section("admin", [&](section_reader& admin) {
    admin.texts("users", out.admin.users);
    admin.texts("stats_users", out.admin.stats_users);
    admin.texts("aliases", out.admin.aliases);
  });
  read_databases(root, out, options);
  read_peers(root, out.peers);
  read_limits(root, out.limits, options);
  read_timeouts(root, out.timeouts);
  read_policies(root, out.policies, options);
  read_locks(root, out.locks);
  read_log(root, out.log);
  read_audit(root, out.audit);
  root.finish();
}

}  // namespace tidegate::config
