#pragma once
// What was counted for each database since the start, threads and users added up: for the admin console.
// Values.

#include <cstdint>
#include <string>

namespace tidegate::metrics {

struct database_totals {
  std::string database;
  std::uint64_t transactions = 0;
  std::uint64_t queries = 0;
  std::uint64_t logins = 0;
  std::uint64_t client_bytes = 0;        // received from clients
  std::uint64_t server_bytes = 0;        // received from servers
  std::uint64_t server_connections = 0;  // opened
  double transaction_seconds = 0;
  double query_seconds = 0;
};

inline database_totals operator-(const database_totals& a, const database_totals& b) {
  return {a.database,
          a.transactions - b.transactions,
          a.queries - b.queries,
          a.logins - b.logins,
          a.client_bytes - b.client_bytes,
          a.server_bytes - b.server_bytes,
          a.server_connections - b.server_connections,
          a.transaction_seconds - b.transaction_seconds,
          a.query_seconds - b.query_seconds};
}

}  // namespace tidegate::metrics
