#pragma once
// Every metric there is: name, kind, labels, help. A metric is one line here and one in docs/metrics.md; a
// test holds the two together, and another this table and what /metrics renders. What counts is in
// thread_metrics.hpp.

#include <array>
#include <cstdint>
#include <string_view>

namespace tidegate::metrics {

enum class metric_kind : std::uint8_t { counter, gauge, histogram };

struct metric_description {
  std::string_view name;  // with the prefix tidegate_
  metric_kind kind;
  std::string_view labels;  // comma-separated; empty: none
  std::string_view help;    // one sentence, with the unit
};

// clang-format off
//   id                                kind       labels                    help
#define TIDEGATE_METRICS(X) \
  X(build_info,                        gauge,     "version",                "Always 1; the label tells the version.") \
  X(up,                                gauge,     "",                       "Always 1 while the gateway serves.") \
  X(start_time_seconds,                gauge,     "",                       "When the gateway started, in seconds since 1970.") \
  X(threads,                           gauge,     "",                       "Threads that carry clients.") \
  X(draining,                          gauge,     "",                       "1 after SIGTERM, while clients are given time to leave.") \
  X(process_cpu_seconds_total,         counter,   "",                       "CPU time of the gateway, user and system, in seconds.") \
  X(process_resident_memory_bytes,     gauge,     "",                       "Memory of the gateway that is in RAM.") \
  X(process_open_fds,                  gauge,     "",                       "Open file descriptors of the gateway.") \
  X(process_max_fds,                   gauge,     "",                       "How many file descriptors the gateway may open.") \
  X(clients,                           gauge,     "database,user,state",    "Clients logged in, by what they are doing.") \
  X(clients_logging_in,                gauge,     "",                       "Clients between accept and the end of their login.") \
  X(client_connections_total,          counter,   "database,user",          "Logins that succeeded.") \
  X(client_disconnections_total,       counter,   "database,reason",        "Clients that left after login, by why.") \
  X(connections_accepted_total,        counter,   "",                       "Connections accepted, before anything was read.") \
  X(connections_refused_total,         counter,   "reason",                 "Connections that ended before login was done, by why.") \
  X(accept_errors_total,               counter,   "",                       "Failed accepts, for example for want of file descriptors.") \
  X(login_seconds,                     histogram, "",                       "From accept to the first ReadyForQuery.") \
  X(auth_failures_total,               counter,   "method",                 "Failed authentications of clients.") \
  X(tls_handshake_failures_total,      counter,   "side",                   "Failed TLS handshakes with clients and servers.") \
  X(servers,                           gauge,     "database,state",         "Connections to servers, by what they are doing.") \
  X(pinned_clients,                    gauge,     "database,reason",        "Clients of transaction pools that keep their server between transactions, by why; one may have several reasons.") \
  X(pins_total,                        counter,   "database,reason",        "Times that a client began to keep its server, by why.") \
  X(pool_wait_seconds,                 histogram, "database",               "Waits of clients for a server of a transaction pool; who gets one at once does not wait.") \
  X(server_connections_total,          counter,   "database",               "Connections to servers opened and logged in.") \
  X(server_connect_failures_total,     counter,   "database,reason",        "Connections to servers that failed before they were ready.") \
  X(server_connect_seconds,            histogram, "database",               "Connect, TLS and login at the server.") \
  X(queries_total,                     counter,   "database,user",          "Queries: simple queries and Syncs of the extended protocol.") \
  X(transactions_total,                counter,   "database,user",          "Transactions that ended, single statements included.") \
  X(query_seconds,                     histogram, "database",               "From a query to its ReadyForQuery.") \
  X(transaction_seconds,               histogram, "database",               "From the first query of a transaction to its end.") \
  X(bytes_received_total,              counter,   "database,user,side",     "Bytes received from clients and from servers.") \
  X(bytes_sent_total,                  counter,   "database,user,side",     "Bytes sent to clients and to servers.") \
  X(buffered_bytes,                    gauge,     "",                       "Bytes held because the other side does not take them.") \
  X(held_query_bytes,                  gauge,     "",                       "Bytes of statements held to be examined or until a gate opens.") \
  X(errors_total,                      counter,   "sqlstate_class",         "ErrorResponses sent to clients, by the first two characters of SQLSTATE.") \
  X(statement_renewals_total,          counter,   "database,result",        "Prepared statements that were looked at again because of a schema change.") \
  X(lock_timeouts_total,               counter,   "database",               "Statements of clients that failed with 55P03.") \
  X(statements_classified_total,       counter,   "class",                  "Statements by what the gateway took them for.") \
  X(statements_parsed_total,           counter,   "database",               "Texts given to the parser.") \
  X(parse_seconds,                     histogram, "",                       "Time in the parser for one text.") \
  X(parse_errors_total,                counter,   "reason",                 "Texts that the parser did not take.") \
  X(ddl_statements_total,              counter,   "rule,action,database",   "Findings acted on, by rule; rule none: DDL without a finding.") \
  X(ddl_seconds,                       histogram, "database",               "Guarded DDL from arrival to its answer, waiting included.") \
  X(ddl_attempts_total,                counter,   "database,outcome",       "Attempts of guarded DDL to get its locks.") \
  X(ddl_waiting,                       gauge,     "database",               "Guarded DDL that waits for its turn now.") \
  X(ddl_lock_wait_seconds,             histogram, "database",               "Time one attempt of guarded DDL stood in the lock queue.") \
  X(ddl_lock_held_seconds,             histogram, "database",               "Time a strong lock was held by guarded DDL.") \
  X(gate_stall_seconds,                histogram, "database",               "Time a statement was held at a gate.") \
  X(gate_held_statements_total,        counter,   "database",               "Statements held at a gate.") \
  X(settings_clamped_total,            counter,   "setting",                "Settings of clients that were brought to the policy's bound.") \
  X(transactions_ended_total,          counter,   "reason",                 "Transactions and statements the gateway ended.") \
  X(cancels_total,                     counter,   "result",                 "Cancel requests of clients.") \
  X(facts_read_seconds,                histogram, "",                       "Time to read the catalog facts of one decision.") \
  X(facts_failures_total,              counter,   "reason",                 "Reads of catalog facts that failed, so that the worst was assumed.") \
  X(catalog_fact_age_seconds,          histogram, "",                       "Age of the cached facts that a decision used.") \
  X(audit_records_total,               counter,   "",                       "Records written to the audit log.") \
  X(audit_failures_total,              counter,   "reason",                 "Audit records lost.") \
  X(ledger_records_total,              counter,   "",                       "Rows written to the ledgers of the databases.") \
  X(ledger_failures_total,             counter,   "reason",                 "Rows of a ledger lost.") \
  X(config_reloads_total,              counter,   "result",                 "Reloads of the configuration.") \
  X(config_last_reload_timestamp_seconds, gauge,  "",                       "When the settings in use were loaded, in seconds since 1970.") \
  X(labels_folded_total,               counter,   "",                       "Logins counted under the label other, since there were too many names.")
// clang-format on

enum class metric : std::uint8_t {
#define X(id, kind, labels, help) id,
  TIDEGATE_METRICS(X)
#undef X
};

inline constexpr auto metric_table = std::to_array<metric_description>({
#define X(id, kind, labels, help) {"tidegate_" #id, metric_kind::kind, labels, help},
    TIDEGATE_METRICS(X)
#undef X
});

constexpr const metric_description& description(metric m) {
  return metric_table[static_cast<std::size_t>(m)];
}

}  // namespace tidegate::metrics
