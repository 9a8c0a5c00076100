#include "proxy/admin/stats_history.hpp"

#include <utility>

namespace tidegate::admin {

stats_history::named stats_history::by_name(std::vector<metrics::database_totals> all) {
  named out;
  for (metrics::database_totals& each : all) {
    std::string name = each.database;
    out.emplace(std::move(name), std::move(each));
  }
  return out;
}

std::vector<database_stats> stats_history::stats(std::vector<metrics::database_totals> now_totals,
                                                 clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  const bool has_period = end_at_ != begin_at_;
  const auto seconds = std::chrono::duration<double>(has_period ? end_at_ - begin_at_ : now - begin_at_);
  const auto at = [](const named& from, const std::string& name) {
    const auto found = from.find(name);
    return found == from.end() ? metrics::database_totals{} : found->second;
  };
  std::vector<database_stats> out;
  for (metrics::database_totals& total : now_totals) {
    const metrics::database_totals end = has_period ? at(end_, total.database) : total;
    metrics::database_totals within = end - at(begin_, total.database);
    out.push_back({std::move(total), std::move(within), seconds.count()});
  }
  return out;
}

}  // namespace tidegate::admin
