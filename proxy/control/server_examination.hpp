#pragma once
// What `tidegate doctor` asks a server: version, rights of the control role, settings that matter to the
// gateway. SQL and decoding, for any querier; the judgement is in proxy/cli/doctor.

#include "proxy/control/querier.hpp"
#include "proxy/control/server_guard.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

// ALTER ROLE/DATABASE … SET of a timeout or of standard_conforming_strings.
struct stored_setting {
  std::string role;      // empty: all roles
  std::string database;  // empty: all databases
  std::string name, value;
};

struct server_examination {
  int version = 0;           // 150020
  std::string version_text;  // "15.20 (Debian …)"
  std::string database, role;
  bool superuser = false;
  bool sees_all_sessions = false;           // pg_monitor, or what it is made of
  bool may_create_schema = false;           // CREATE on the database, or schema tidegate is there and usable
  std::vector<std::string> foreign_owners;  // of tables, of which the role is no member; at most 50
  bool in_recovery = false;
  bool standard_conforming_strings = true;
  std::string wal_level;
  // What the asking session has: it is to be opened with the settings of the role and the database.
  std::int64_t lock_timeout_ms = 0;
  std::int64_t statement_timeout_ms = 0;
  std::int64_t idle_in_transaction_timeout_ms = 0;
  std::int64_t deadlock_timeout_ms = 1000;
  std::int64_t max_connections = 0, reserved_connections = 0;
  std::int64_t prepared_transactions = 0;  // open at this moment
  std::int64_t oldest_prepared_transaction_ms = 0;
  guard_state guard = guard_state::absent;
  std::vector<stored_setting> stored;
  std::vector<std::string> invalid_indexes;  // "schema.name"; at most 50
};

boost::asio::awaitable<outcome<server_examination>> examine_server(querier& source);

}  // namespace tidegate::control
