// databases: where PostgreSQL is.

#include "config/sections.hpp"

namespace tidegate::config {
namespace {

void read_pool(section_reader& section, pool_settings& out) {
  section.word("mode", out.mode);
  if (section.has("size")) section.number("size", out.size.emplace(), {1, 1'000'000});
  section.number("min_size", out.minimum, {0, 1'000'000});
  section.number("reserve_size", out.reserve, {0, 1'000'000});
  section.duration("reserve_after", out.reserve_after);
  section.duration("server_lifetime", out.lifetime);
  section.duration("server_idle_timeout", out.idle_timeout);
  section.duration("server_check_after", out.check_after);
  section.number("prepared_statements", out.statements, {1, 100'000});
  section.number("max_per_application", out.max_per_application, {0, 1'000'000});
  section.number("max_pinned", out.max_pinned, {0, 1'000'000});
  section.duration("pinned_idle_timeout", out.pinned_idle);
  section.texts("session_functions", out.session_functions);
  for (std::string& name : out.session_functions) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  if (out.minimum > out.size.value_or(default_pool_size))
    section.refuse(
        "min_size", "is above size",
        "write at most size, which is " + std::to_string(out.size.value_or(default_pool_size)) + " here");
  if (out.mode == pool_mode::transaction) return;
  for (const char* key : {"min_size", "reserve_size", "reserve_after", "server_lifetime",
                          "server_idle_timeout", "server_check_after", "prepared_statements",
                          "max_per_application", "max_pinned", "pinned_idle_timeout", "session_functions"}) {
    if (section.has(key))
      section.refuse(key, "is for mode transaction", "leave it out, or write mode: transaction");
  }
}

void read_database(section_reader& section, database_settings& out, const load_options& options) {
  section.text("host", out.host);
  section.number("port", out.port, {1, 65535});
  section.text("dbname", out.dbname);
  section.section("pool", [&](section_reader& pool) { read_pool(pool, out.pool); });
  section.section("control", [&](section_reader& control) {
    control.text("user", out.control.user);
    read_password(control, out.control.password, options);
    control.text("dbname", out.control.dbname);
    if (!control.has("user")) control.refuse("user", "is needed", "name the role that reads the catalog");
  });
  section.section("server_tls", [&](section_reader& tls) { read_server_tls(tls, out.server_tls); });
  section.section("server_auth", [&](section_reader& auth) {
    auto& forced = out.server_auth.emplace();
    auth.text("user", forced.user);
    read_password(auth, forced.password, options);
  });
  section.section("limits", [&](section_reader& limits) { limits.number("max_clients", out.max_clients); });
  if (out.host.empty()) section.refuse("host", "is empty", "write a host or the folder of a unix socket");
}

}  // namespace

void read_server_tls(section_reader& section, server_tls_settings& out) {
  section.word("mode", out.mode);
  section.file("ca", out.ca);
  section.file("certificate", out.certificate);
  section.file("key", out.key);
  section.boolean("direct", out.direct);
}

void read_databases(section_reader& root, settings& out, const load_options& options) {
  root.named("databases", "<name>", [&](const std::string& name, section_reader& databases) {
    database_settings database;
    database.name = name;
    databases.section(name, [&](section_reader& section) { read_database(section, database, options); });
    if (name == console_database) {
      databases.refuse(name, "is the name of the admin console",
                       "name it otherwise, and set dbname: tidegate");
    }
    out.databases.push_back(std::move(database));
  });
  if (out.databases.empty()) {
    root.refuse("databases", "names no database", R"(write databases: {"*": {host: 127.0.0.1, port: 5432}})");
  }
}

}  // namespace tidegate::config
