#include "proxy/metrics/totals.hpp"

#include "proxy/metrics/registry_labels.hpp"

namespace tidegate::metrics {

std::vector<database_totals> registry::totals() const {
  const labels& l = *labels_;
  const std::lock_guard lock(l.mutex);
  std::vector<database_totals> out(l.databases.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i].database = l.databases[i];
  for (const labels::thread_entry& thread : l.threads) {
    for (std::size_t i = 0; i < thread.databases.size(); ++i) {
      if (thread.databases[i] == nullptr) continue;
      out[i].server_connections += thread.databases[i]->server_connections.value();
      out[i].transaction_seconds += thread.databases[i]->transaction_seconds.sum();
      out[i].query_seconds += thread.databases[i]->query_seconds.sum();
    }
    for (std::size_t i = 0; i < thread.users.size(); ++i) {
      if (thread.users[i] == nullptr) continue;
      const user_metrics& user = *thread.users[i];
      const auto database = l.database_indices.find(l.users[i].first);
      database_totals& to = out[database == l.database_indices.end() ? other_index : database->second];
      to.transactions += user.transactions.value();
      to.queries += user.queries.value();
      to.logins += user.client_connections.value();
      to.client_bytes += user.bytes_received[side::client].value();
      to.server_bytes += user.bytes_received[side::server].value();
    }
  }
  // Entries that only make room: "other", and "*" while it only connects.
  std::erase_if(out, [](const database_totals& t) { return t.server_connections == 0 && t.logins == 0; });
  return out;
}

}  // namespace tidegate::metrics
