#pragma once
// How the gateway reaches a database for itself. Made from the configuration (`databases.<name>.control`) or
// from the URI of `check --database`. Values only.

#include "config/settings.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace tidegate::control {

struct control_settings {
  std::string
      host;  // name, address, or a unix socket's folder; empty: libpq's own default (command line only)
  std::uint16_t port = 5432;  // 0: libpq's own default (command line only)
  std::string user;
  std::string password;
  std::string tls_mode = "prefer";          // libpq's sslmode
  std::map<std::string, std::string> more;  // further libpq keywords: sslrootcert, sslcert, sslkey, …

  std::string application_name = "tidegate control";
  bool own_search_path =
      false;  // true: the role's and database's own instead of pg_catalog alone (command line)
  std::chrono::milliseconds connect_timeout{5000};
  // Of the session on the server; 0: whatever the role and the database have. The answer is awaited a little
  // longer.
  std::chrono::milliseconds lock_timeout{50};
  std::chrono::milliseconds statement_timeout{3000};

  auto operator<=>(const control_settings&) const = default;
};

// One database to talk to. With a "*" entry the database is the one the client asked for.
struct control_target {
  control_settings settings;
  std::string database;

  auto operator<=>(const control_target&) const = default;
};

using control_target_ptr = std::shared_ptr<const control_target>;

// The target of an entry of the configuration for a client that asked for `database`. None when the entry has
// no control user: then the gateway has no facts of that database.
std::optional<control_target> control_target_of(const config::database_settings& entry,
                                                const std::string& database);

// The target that a connection URI or keyword string names, with libpq's rules and environment. Throws
// std::invalid_argument with libpq's message (which never contains the password).
control_target parse_conninfo(const std::string& conninfo);

}  // namespace tidegate::control
