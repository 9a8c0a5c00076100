#pragma once
// What is counted, and where. A session keeps the three pointers of `session_metrics`, which it gets once its
// user is authenticated, and counts without any look-up. Every structure here belongs to one thread, which
// alone writes it; /metrics adds the threads up (registry.hpp).
//
// What happens rarely or on any thread is in process_metrics.

#include "proxy/metrics/instruments.hpp"
#include "proxy/metrics/labels.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace tidegate::metrics {

class registry;

// Of one database and user.
struct user_metrics {
  by<gauge, client_state> clients;
  counter client_connections;
  counter queries;
  counter transactions;
  by<counter, side> bytes_received;
  by<counter, side> bytes_sent;

  // A client's one state changed; counts stay right as long as each client goes through here.
  void move_client(client_state from, client_state to) {
    clients[from].sub();
    clients[to].add();
  }
};

// Of one database. `database` is the name clients ask for.
struct database_metrics {
  by<counter, disconnect_reason> client_disconnections;
  by<gauge, server_state> servers;
  by<gauge, pin_reason> pinned_clients;
  by<counter, pin_reason> pins;
  histogram<latency_bounds> pool_wait_seconds;
  counter server_connections;
  by<counter, connect_failure> server_connect_failures;
  histogram<latency_bounds> server_connect_seconds;
  histogram<latency_bounds> query_seconds;
  histogram<long_bounds> transaction_seconds;
  counter lock_timeouts;
  counter statements_parsed;
  histogram<long_bounds> ddl_seconds;
  by<counter, attempt_outcome> ddl_attempts;
  by<counter, renewal_result> statement_renewals;
  gauge ddl_waiting;
  histogram<latency_bounds> ddl_lock_wait_seconds;
  histogram<latency_bounds> ddl_lock_held_seconds;
  histogram<latency_bounds> gate_stall_seconds;
  counter gate_held_statements;

  void move_server(server_state from, server_state to) {
    servers[from].sub();
    servers[to].add();
  }
};

// ErrorResponses by the first two characters of SQLSTATE. A server's function may raise any five characters,
// so there are 36 * 36 classes and one for what is no SQLSTATE.
class sqlstate_class_counters {
 public:
  static constexpr std::size_t classes = 36 * 36 + 1;

  void add(std::string_view sqlstate) noexcept { counters_[index_of(sqlstate)].add(); }
  std::uint64_t value(std::size_t index) const noexcept { return counters_[index].value(); }
  // "42", or "other" for the last index. `storage` holds the characters.
  static std::string_view word(std::size_t index, std::array<char, 2>& storage);

 private:
  static std::size_t index_of(std::string_view sqlstate) noexcept;
  std::array<counter, classes> counters_;
};

struct session_metrics;

// Of one thread.
struct thread_metrics {
  thread_metrics(registry& owner, std::size_t index) : owner_(owner), index_(index) {}
  thread_metrics(const thread_metrics&) = delete;

  gauge clients_logging_in;
  by<counter, refusal_reason> connections_refused;
  histogram<latency_bounds> login_seconds;
  by<counter, auth_method_label> auth_failures;
  by<counter, side> tls_handshake_failures;
  gauge buffered_bytes;
  gauge held_query_bytes;
  sqlstate_class_counters errors;
  by<counter, statement_class> statements_classified;
  histogram<latency_bounds> parse_seconds;
  by<counter, parse_failure_reason> parse_errors;
  by<counter, clamped_setting> settings_clamped;
  by<counter, ended_reason> transactions_ended;
  by<counter, cancel_result> cancels;

  // Where a client that has just been authenticated is counted. Names come from here only, so nobody fills
  // the labels before login; beyond max_label_values names it is "other". Takes a lock: once per login. The
  // structures live as long as the registry.
  session_metrics session(std::string_view database, std::string_view user);

  // The same for a server connection that no client stands behind yet. `database` is a configured name or one
  // whose client is authenticated.
  database_metrics& database(std::string_view name);

 private:
  friend class registry;
  friend struct session_metrics;
  registry& owner_;
  std::size_t index_;
};

// Of one client. Cheap to copy.
struct session_metrics {
  thread_metrics* thread = nullptr;
  database_metrics* database = nullptr;
  user_metrics* user = nullptr;
  std::size_t database_label = 0;

  // A finding (or, with rule "none", DDL without one) was acted on. Takes a lock: once per DDL. `rule` is a
  // rule's id or "none".
  void count_ddl(std::string_view rule, ddl_action action) const;
};

// Of the process; any thread may write.
struct process_metrics {
  histogram<latency_bounds, shared_counter> facts_read_seconds;
  by<shared_counter, fact_failure> facts_failures;
  histogram<latency_bounds, shared_counter> catalog_fact_age_seconds;
  shared_counter audit_records;
  by<shared_counter, audit_failure> audit_failures;
  shared_counter ledger_records;
  by<shared_counter, ledger_failure> ledger_failures;
  by<shared_counter, reload_result> config_reloads;
  std::atomic<std::int64_t> config_last_reload_timestamp{0};  // seconds since 1970
  std::atomic<bool> is_draining{false};
};

}  // namespace tidegate::metrics
