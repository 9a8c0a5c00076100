#pragma once
// Everything that a configuration file can say, as plain values. load() (config/load.hpp) makes one of a file
// and checks it; nothing here is checked again. A loaded `settings` is immutable and shared between threads
// as `std::shared_ptr<const settings>`; a reload makes a new one.
//
// Units: durations are milliseconds and 0 means "no limit", sizes are bytes. Defaults are the values written
// here. docs/configuration.md and config/example.yaml name every key; a test holds the three together.

#include "policies/engine.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::config {

using std::chrono::milliseconds;

// How much TLS a side insists on. The words are libpq's sslmode.
enum class tls_mode : std::uint8_t {
  disable,      // never; a client's SSLRequest is answered 'N'
  allow,        // client side: taken when asked for; server side: only after plain was refused
  prefer,       // client side: as allow; server side: asked for first, plain when it has none
  require,      // only with TLS; the peer's certificate is not looked at
  verify_ca,    // and the peer's certificate is signed by `ca`
  verify_full,  // and it names the peer: the server's host, or the client's user
};

enum class tls_version : std::uint8_t { tls_1_2, tls_1_3 };

// TLS of a listener.
struct listen_tls_settings {
  tls_mode mode = tls_mode::disable;
  std::string certificate;  // PEM file with the chain; needed unless mode is disable
  std::string key;          // PEM file; needed unless mode is disable
  std::string ca;           // PEM file that clients' certificates are checked with; needed by verify-*
  tls_version min_version = tls_version::tls_1_2;
};

// One place where clients connect: an address or a unix socket.
struct listen_settings {
  std::string address =
      "127.0.0.1";              // IPv4, IPv6 or a host name (all its addresses); empty for a unix socket
  std::uint16_t port = 6432;    // 0: the kernel picks one
  std::string socket;           // path of a unix socket; libpq wants <folder>/.s.PGSQL.<port>; empty for TCP
  unsigned socket_mode = 0777;  // permissions of that socket, as PostgreSQL's unix_socket_permissions
  listen_tls_settings tls;

  bool is_unix() const { return !socket.empty(); }
};

// Where /metrics, /healthz and /readyz are served.
struct http_settings {
  bool enabled = true;                // `http: off` turns it off
  std::string address = "127.0.0.1";  // IPv4 or IPv6
  std::uint16_t port = 9632;          // 0: the kernel picks one
};

enum class auth_method : std::uint8_t {
  trust,          // whoever connects is who they say
  scram_sha_256,  // secrets from user_file or auth_query
  md5,            // the same, with md5 secrets; a SCRAM secret is asked for by SCRAM
  cert,           // a client certificate whose common name is the user, or is mapped to it
  passthrough,    // the server authenticates; session mode only
  reject,         // refused
};

enum class connection_type : std::uint8_t {
  any,        // every connection
  local,      // by unix socket
  host,       // by TCP, with or without TLS
  hostssl,    // by TCP with TLS
  hostnossl,  // by TCP without TLS
};

// A network: the first `bits` of `bytes`. IPv4 uses the first four bytes.
struct network {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t bits = 0;
  bool is_v6 = false;
};

// One line of the list of who may come in, like a line of pg_hba.conf. The first that matches decides.
struct auth_rule {
  connection_type type = connection_type::any;
  std::vector<std::string> databases;  // empty: every database
  std::vector<std::string> users;      // empty: every user
  std::vector<network> addresses;      // empty: every address; unix sockets match only an empty list
  auth_method method = auth_method::reject;
  std::string map;  // for cert: a name in user_maps; empty: the common name is the user
};

// A certificate's common name that may log in as `user`.
struct user_map_entry {
  std::string certificate;  // common name, exactly
  std::string user;         // "*": the common name may log in as any user
};

// Asks a server for a client's secret. The query gets the user's name as $1 and returns no row (no such
// user) or one: name, secret, and as an optional third column whether the user may log in now.
struct auth_query_settings {
  std::string database;  // a name under `databases`, or one that "*" covers
  std::string user;
  std::string password;  // from `password` or the first line of `password_file`
  std::string query =
      "SELECT rolname, rolpassword, rolcanlogin AND coalesce(rolvaliduntil > now(), true)"
      " FROM pg_catalog.pg_authid WHERE rolname = $1";
};

struct auth_settings {
  std::vector<auth_rule> rules;  // never empty; `method: x` alone is one rule that matches everyone
  std::string user_file;         // the file that `users` was read from; empty: none
  std::map<std::string, std::string, std::less<>> users;  // name -> password, md5… or SCRAM-SHA-256$… secret
  std::optional<auth_query_settings> query;               // asked for users that the file does not have
  std::map<std::string, std::vector<user_map_entry>, std::less<>> user_maps;
};

// Who may use the admin console (database "tidegate").
struct admin_settings {
  std::vector<std::string> users;        // may look and change; empty: nobody
  std::vector<std::string> stats_users;  // may look
  std::vector<std::string> aliases;  // other names of the console's database, for tools that insist on one
};

enum class pool_mode : std::uint8_t {
  session,      // a server connection per client, for the client's life
  transaction,  // a server connection per transaction
};

inline constexpr unsigned default_pool_size = 20;

struct pool_settings {
  pool_mode mode = pool_mode::session;
  // Server connections for clients, per database and user (transaction mode: per kind of clients). Unset: no
  // limit; in transaction mode default_pool_size.
  std::optional<unsigned> size;
  // Transaction mode only:
  unsigned minimum = 0;  // kept open while there are clients
  unsigned reserve = 0;  // more than size, once a client has waited for reserve_after
  milliseconds reserve_after{5'000};
  milliseconds lifetime{3'600'000};    // of a server connection; checked when it is idle
  milliseconds idle_timeout{600'000};  // of a server connection above the minimum
  milliseconds check_after{30'000};    // an idle server is asked whether it is still there
  unsigned statements = 500;           // prepared on one server at most
  unsigned max_per_application = 0;    // server connections that clients of one name have; 0: no limit
  unsigned max_pinned = 0;             // clients that keep their server, per pool; 0: no limit
  milliseconds pinned_idle{0};         // such a client, idle outside a transaction, is ended after this
  std::vector<std::string> session_functions;  // change their session out of sight: lower case
};

// The gateway's own connection: facts of the catalog, blockers.
struct control_settings {
  std::string user;      // empty: the gateway has none, and every fact is assumed at its worst
  std::string password;  // from `password` or the first line of `password_file`; empty: none is sent
  std::string dbname;    // empty: the database the client asked for
};

// TLS towards a server; the modes mean what they mean to libpq.
struct server_tls_settings {
  tls_mode mode = tls_mode::prefer;
  std::string ca;           // PEM file that the server's certificate is checked with; needed by verify-*
  std::string certificate;  // PEM file of the gateway's own certificate; empty: none is shown
  std::string key;          // PEM file; needed with certificate
  bool direct = false;      // TLS from the first byte, without SSLRequest (PostgreSQL 17 and later)
};

// Credentials used on the server instead of the client's own.
struct server_auth_settings {
  std::string user;      // empty: the client's name
  std::string password;  // from `password` or the first line of `password_file`
};

struct database_settings {
  std::string name;                // as clients ask for it; "*": every name that has no entry of its own
  std::string host = "127.0.0.1";  // IPv4, IPv6, a host name, or the folder of a unix socket ('/…')
  std::uint16_t port = 5432;
  std::string dbname;  // name on the server; empty: the one that the client asked for
  pool_settings pool;
  control_settings control;
  server_tls_settings server_tls;
  std::optional<server_auth_settings> server_auth;
  unsigned max_clients =
      0;  // limits.max_clients of this entry: clients per database name; 0: no limit of its own

  bool is_unix() const { return !host.empty() && host.front() == '/'; }
};

// Another gateway in front of the same databases, for cancel requests that reach the wrong one.
struct peer_settings {
  unsigned id = 0;
  std::string host;
  std::uint16_t port = 6432;
  server_tls_settings tls;
};

inline constexpr unsigned most_peer_id = 63;

struct peers_settings {
  unsigned id = 0;  // this gateway's, 1 to most_peer_id; 0: it is alone
  std::vector<peer_settings> gateways;
};

struct limit_settings {
  unsigned max_clients = 10'000;          // in total; the next one gets 53300
  unsigned max_clients_per_database = 0;  // for databases without a limit of their own; 0: no limit
  unsigned max_clients_per_user = 0;      // for users not listed; 0: no limit
  std::map<std::string, unsigned, std::less<>> users;  // max_clients of single users
  std::size_t query_buffer = std::size_t{64} << 20;    // longest Query/Parse message held to be examined
  std::size_t parse_bytes = 0;  // longest text given to the parser; beyond it on_unparsable decides
};

struct timeout_settings {
  milliseconds login{60'000};           // from accept to ReadyForQuery; must not be 0
  milliseconds client_idle{0};          // no message outside a transaction
  milliseconds idle_in_transaction{0};  // no message inside a transaction
  milliseconds query{0};                // from the query to ReadyForQuery
  milliseconds query_wait{120'000};     // waiting for a server connection
  milliseconds server_connect{15'000};  // connect, TLS and login at the server; must not be 0
  milliseconds cancel{10'000};          // delivery of a cancel request; must not be 0
  milliseconds shutdown{60'000};        // draining after SIGTERM: then the clients that are left are cut
};

struct policy_settings {
  policies::policy policy;                      // mode, on_unparsable, small_table, rules, overrides
  milliseconds new_relation_window{3'600'000};  // so long is a relation of this session new to others
  bool ledger = false;                          // schema changes are written to tidegate.ddl
};

// Upper bound of what clients may set; unset: left alone. "0" (no timeout) counts as above every bound.
struct clamp_settings {
  std::optional<milliseconds> lock_timeout;
  std::optional<milliseconds> statement_timeout;
  std::optional<milliseconds> idle_in_transaction_session_timeout;
};

// Bounds of guarded DDL. None may be 0.
struct lock_settings {
  milliseconds lock_timeout{50};                // of one attempt
  milliseconds ddl_wait_budget{60'000};         // all attempts and pauses outside a transaction
  milliseconds stall_budget{100};               // the gate is open again after this, whatever happens
  milliseconds hold_budget{1'000};              // waits plus run of one attempt; then it is cancelled
  milliseconds transaction_wait_budget{2'000};  // all attempts inside a transaction
  milliseconds transaction_hold_budget{2'000};  // a transaction that idles after DDL is ended after this
  milliseconds precheck_age{30};                // transactions older than this count as blockers
  bool share_gate = true;                       // with the other gateways in front of the database
  clamp_settings clamp;
};

enum class log_level : std::uint8_t { trace, debug, info, warning, error, off };
enum class log_format : std::uint8_t { logfmt, json };

struct log_settings {
  log_level level = log_level::info;
  log_format format = log_format::logfmt;
  std::string file;  // appended to, reopened on SIGHUP; empty: stderr
};

enum class audit_target : std::uint8_t { off, stderr_stream, file };

struct audit_settings {
  audit_target target = audit_target::stderr_stream;
  std::string file;  // when target is file: appended to, reopened on SIGHUP
};

// How bytes are carried between clients and servers.
enum class relay_mode : std::uint8_t { automatic, epoll, io_uring };

struct settings {
  std::vector<listen_settings> listen;  // never empty after a load
  http_settings http;
  unsigned threads = 0;  // 0: one per core
  relay_mode relay = relay_mode::epoll;
  auth_settings auth;
  admin_settings admin;
  std::vector<database_settings> databases;  // in the file's order; never empty after a load
  peers_settings peers;
  limit_settings limits;
  timeout_settings timeouts;
  policy_settings policies;
  lock_settings locks;
  log_settings log;
  audit_settings audit;
};

// The entry for the name a client asks for: its own, else "*", else null. Points into `all`.
const database_settings* find_database(const settings& all, std::string_view name);

inline constexpr std::string_view console_database = "tidegate";
// Whether a client that asks for this database gets the admin console.
bool is_console(const settings& all, std::string_view name);

}  // namespace tidegate::config
