#pragma once
// What one worker tells of its clients and servers when the console asks: plain values, made on the worker's
// thread and merged by the console. Every table about connections is made of these, so what a pool mode knows
// more (idle servers, waiting clients) is added here once.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tidegate::admin {

using wall_clock = std::chrono::system_clock;

// One end of a connection as the kernel sees it.
struct connection_ends {
  std::string address;  // of the peer; "unix" for a unix socket
  std::uint16_t port = 0;
  std::string local_address;
  std::uint16_t local_port = 0;
  std::string tls;              // "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: none
  std::int32_t process_id = 0;  // of the peer of a unix socket
};

enum class client_state : std::uint8_t {
  idle,     // asks nothing
  active,   // has a query at the server, or is inside a transaction
  waiting,  // has asked and has no server
};

struct client_row {
  std::uint64_t id = 0;
  std::string user, database, application;
  client_state state = client_state::idle;
  std::string_view doing;  // idle, active, in_transaction, waiting: as the metric's label; static storage
  bool replication = false;
  connection_ends ends;
  wall_clock::time_point connected, asked;  // asked: the last query; the epoch when there was none
  std::chrono::microseconds waits{0};       // so far; for a server, or while its database is paused
  std::uint64_t server = 0;                 // id of the server it is linked to; 0: none
  std::string pins;  // transaction mode: why it keeps its server, "channel, cursor"; empty: it does not
};

enum class server_state : std::uint8_t { active, idle, login };

struct server_row {
  std::uint64_t id = 0;
  std::string user, database, application;
  server_state state = server_state::active;
  bool replication = false;
  bool close_needed = false;  // RECONNECT: ends at the next rest
  connection_ends ends;
  wall_clock::time_point connected, asked;
  std::int32_t backend_pid = 0;
  std::uint64_t client = 0;  // id of the client it is linked to; 0: none
};

// A client that has proved who it is and has no session yet.
struct login_row {
  std::string user, database;
  bool connecting = false;  // logs in at the server; else it waits for a place, or until RESUME
  std::chrono::microseconds waits{0};
};

struct worker_snapshot {
  std::vector<client_row> clients;
  std::vector<server_row> servers;
  std::vector<login_row> logins;
  std::uint64_t logging_in = 0;   // connections that have not said who they are, and `logins`
  std::size_t session_bytes = 0;  // of one session, without its buffers
  std::uint64_t buffered_bytes = 0;

  void add(worker_snapshot&& other);
};

}  // namespace tidegate::admin
