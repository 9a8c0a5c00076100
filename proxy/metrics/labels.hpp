#pragma once
// The fixed label values, each an enumeration with its words, and arrays of instruments indexed by them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate::metrics {

// Specialised for each enumeration: its words, in the enumerators' order.
template <typename Label>
inline constexpr std::array<std::string_view, 0> words_of{};

enum class client_state : std::uint8_t {
  idle,            // outside a transaction, nothing asked
  active,          // a query is at the server
  in_transaction,  // inside a transaction, nothing asked
  waiting,         // a statement is held: examined, at a gate, or for a server connection
};
template <>
inline constexpr auto words_of<client_state> = std::to_array<std::string_view>({"idle", "active",
                                                                                "in_transaction", "waiting"});

enum class server_state : std::uint8_t {
  connecting,  // until the first ReadyForQuery
  active,      // serves a client
  idle,        // waits in a pool
};
template <>
inline constexpr auto words_of<server_state> = std::to_array<std::string_view>({"connecting", "active",
                                                                                "idle"});

// Why a client of a transaction pool keeps its server between transactions.
enum class pin_reason : std::uint8_t {
  temporary_object,
  channel,  // LISTEN
  cursor,   // WITH HOLD
  advisory_lock,
  statement,      // SQL's PREPARE
  authorization,  // SET SESSION AUTHORIZATION
  unmovable,      // LOAD, setseed(), a listed function: for good
  unknown,        // the server could not be asked
};
template <>
inline constexpr auto words_of<pin_reason> =
    std::to_array<std::string_view>({"temporary_object", "channel", "cursor", "advisory_lock",
                                     "prepared_statement", "session_authorization", "unmovable", "unknown"});

enum class side : std::uint8_t { client, server };
template <>
inline constexpr auto words_of<side> = std::to_array<std::string_view>({"client", "server"});

enum class refusal_reason : std::uint8_t {
  too_many_clients,    // limits.max_clients
  database_limit,      // the limit of its database
  user_limit,          // the limit of its user
  draining,            // the gateway shuts down
  protocol,            // not a startup packet that makes sense
  tls,                 // TLS was required, or its handshake failed
  no_such_database,    // no entry, and no "*"
  no_rule,             // no authentication rule matches, or it says reject
  authentication,      // wrong secret
  timeout,             // the login took too long
  client_gone,         // the client went away
  server_unavailable,  // no server connection could be had
};
template <>
inline constexpr auto words_of<refusal_reason> = std::to_array<std::string_view>(
    {"too_many_clients", "database_limit", "user_limit", "draining", "protocol", "tls", "no_such_database",
     "no_rule", "authentication", "timeout", "client_gone", "server_unavailable"});

enum class disconnect_reason : std::uint8_t {
  terminated,   // the client said Terminate
  client_gone,  // the client's connection ended without it
  server_gone,  // the server's connection ended
  protocol,     // a message that makes no sense
  timeout,      // client_idle, idle_in_transaction or query
  hold_budget,  // a transaction was left open after DDL
  draining,     // the gateway shut down
  admin,        // ended from the admin console
};
template <>
inline constexpr auto words_of<disconnect_reason> = std::to_array<std::string_view>(
    {"terminated", "client_gone", "server_gone", "protocol", "timeout", "hold_budget", "draining", "admin"});

enum class auth_method_label : std::uint8_t { scram_sha_256, md5, cert, passthrough, reject };
template <>
inline constexpr auto words_of<auth_method_label> =
    std::to_array<std::string_view>({"scram-sha-256", "md5", "cert", "passthrough", "reject"});

enum class connect_failure : std::uint8_t { unreachable, timeout, tls, authentication, refused };
template <>
inline constexpr auto words_of<connect_failure> =
    std::to_array<std::string_view>({"unreachable", "timeout", "tls", "authentication", "refused"});

enum class statement_class : std::uint8_t {
  harmless,    // the pre-filter let it pass unparsed
  ddl,         // changes a schema, or takes a strong lock
  setting,     // changes a setting that matters
  other,       // parsed, and neither
  unparsable,  // on_unparsable decided
};
template <>
inline constexpr auto words_of<statement_class> =
    std::to_array<std::string_view>({"harmless", "ddl", "setting", "other", "unparsable"});

enum class parse_failure_reason : std::uint8_t { syntax, too_long, internal };
template <>
inline constexpr auto words_of<parse_failure_reason> = std::to_array<std::string_view>({"syntax", "too_long",
                                                                                        "internal"});

enum class ddl_action : std::uint8_t {
  allow,
  warn,
  rewrite,
  plan,
  block,
  overridden,  // an override comment let it run
  observed,    // mode observe: nothing was changed
};
template <>
inline constexpr auto words_of<ddl_action> =
    std::to_array<std::string_view>({"allow", "warn", "rewrite", "plan", "block", "override", "observed"});

enum class attempt_outcome : std::uint8_t {
  succeeded,
  lock_timeout,  // 55P03: somebody held a conflicting lock
  deadlock,      // 40P01
  hold_budget,   // took longer than locks.hold_budget and was cancelled
  failed,        // any other error
};
template <>
inline constexpr auto words_of<attempt_outcome> =
    std::to_array<std::string_view>({"succeeded", "lock_timeout", "deadlock", "hold_budget", "failed"});

// Of a prepared statement that a schema change may have made stale.
enum class renewal_result : std::uint8_t {
  renewed,         // prepared anew, or seen to return what the client was told
  result_changed,  // it returns something else: the client is told
};
template <>
inline constexpr auto words_of<renewal_result> = std::to_array<std::string_view>({"renewed",
                                                                                  "result_changed"});

enum class clamped_setting : std::uint8_t {
  lock_timeout,
  statement_timeout,
  idle_in_transaction_session_timeout,
};
template <>
inline constexpr auto words_of<clamped_setting> = std::to_array<std::string_view>(
    {"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"});

enum class ended_reason : std::uint8_t {
  hold_budget,          // locks.transaction_hold_budget
  idle_in_transaction,  // timeouts.idle_in_transaction
  query,                // timeouts.query
};
template <>
inline constexpr auto words_of<ended_reason> =
    std::to_array<std::string_view>({"hold_budget", "idle_in_transaction", "query"});

enum class cancel_result : std::uint8_t {
  forwarded,    // delivered to the server
  unknown_key,  // no session has that key
  failed,       // the server could not be reached in time
};
template <>
inline constexpr auto words_of<cancel_result> = std::to_array<std::string_view>({"forwarded", "unknown_key",
                                                                                 "failed"});

enum class fact_failure : std::uint8_t { unreachable, timeout, denied, failed };
template <>
inline constexpr auto words_of<fact_failure> = std::to_array<std::string_view>({"unreachable", "timeout",
                                                                                "denied", "failed"});

enum class audit_failure : std::uint8_t { queue_full, write_failed };
template <>
inline constexpr auto words_of<audit_failure> = std::to_array<std::string_view>({"queue_full",
                                                                                 "write_failed"});

// Rows of the ledger that were not written.
enum class ledger_failure : std::uint8_t {
  queue_full,
  refused,      // by the server: no right, a schema of somebody else's
  unreachable,  // the database, when the gateway ended
};
template <>
inline constexpr auto words_of<ledger_failure> = std::to_array<std::string_view>({"queue_full", "refused",
                                                                                  "unreachable"});

enum class reload_result : std::uint8_t { succeeded, failed };
template <>
inline constexpr auto words_of<reload_result> = std::to_array<std::string_view>({"succeeded", "failed"});

// One instrument for each value of a label.
template <typename Instrument, typename Label>
class by {
 public:
  static constexpr std::size_t size() { return words_of<Label>.size(); }
  Instrument& operator[](Label label) { return instruments_[static_cast<std::size_t>(label)]; }
  const Instrument& operator[](Label label) const { return instruments_[static_cast<std::size_t>(label)]; }

 private:
  std::array<Instrument, words_of<Label>.size()> instruments_;
};

}  // namespace tidegate::metrics
