// databases: where PostgreSQL is.

#include "config/sections.hpp"

namespace tidegate::config {
namespace {

void read_pool(section_reader& section, pool_settings& out) {
  std::string mode;
  section.text("mode", mode);
  if (mode == "transaction") {
    section.refuse("mode", "transaction pooling is not available yet", "write session");
  } else if (const auto known = parse_word<pool_mode>(mode)) {
    out.mode = *known;
  } else if (section.has("mode")) {
    section.refuse_word("mode", mode, words_of<pool_mode>);
  }
  if (section.has("size")) section.number("size", out.size.emplace(), {1, 1'000'000});
}

void read_server_tls(section_reader& section, server_tls_settings& out) {
  section.word("mode", out.mode);
  section.file("ca", out.ca);
  section.file("certificate", out.certificate);
  section.file("key", out.key);
  section.boolean("direct", out.direct);
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
