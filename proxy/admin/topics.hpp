#pragma once
// What SHOW shows: a topic has a name, its columns and a function that makes its rows of what was gathered.
// Columns that mean what they mean in PgBouncer have its names, so that exporters and dashboards read them;
// docs/admin_console.md says what each is here. Pure; any thread.

#include "config/settings.hpp"
#include "proxy/admin/ddl_board.hpp"
#include "proxy/admin/recent_findings.hpp"
#include "proxy/admin/snapshot.hpp"
#include "proxy/admin/stats_history.hpp"
#include "proxy/admin/table.hpp"
#include "proxy/control/ddl_ledger.hpp"
#include "proxy/core/shared_statements.hpp"
#include "proxy/metrics/process_usage.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::admin {

struct ledger_line {
  std::string database;
  control::ledger_row row;
};

// Everything a table can be made of, gathered before.
struct overview {
  std::shared_ptr<const config::settings> settings;
  worker_snapshot sessions;
  std::vector<database_stats> stats;
  std::vector<recent_finding> findings;
  std::vector<ddl_row> ddl;
  std::vector<ledger_line> ledger;                                  // of SHOW LEDGER only
  std::vector<core::statement_registry::statement_row> statements;  // that transaction pools share
  metrics::process_usage usage;
  std::function<bool(std::string_view database)> is_paused, is_disabled;
  bool all_paused = false;
  bool draining = false;
};

struct topic {
  std::string_view name;
  columns shape;
  rows (*make)(const overview&);
  std::string_view help;
};

std::span<const topic> topics();
// Null: there is none of that name.
const topic* find_topic(std::string_view name);

// The makers, by file.
rows make_pools(const overview& all);  // topics_pools.cpp
rows make_databases(const overview& all);
rows make_users(const overview& all);
rows make_lists(const overview& all);
rows make_clients(const overview& all);  // topics_sessions.cpp
rows make_servers(const overview& all);
rows make_pins(const overview& all);
rows make_prepared_statements(const overview& all);
rows make_stats(const overview& all);  // topics_stats.cpp
rows make_stats_totals(const overview& all);
rows make_stats_averages(const overview& all);
rows make_totals(const overview& all);
rows make_memory(const overview& all);
rows make_config(const overview& all);  // topics_policy.cpp
rows make_rules(const overview& all);
rows make_findings(const overview& all);
rows make_ddl(const overview& all);
rows make_ledger(const overview& all);

// "2024-05-06 07:08:09 UTC", as PgBouncer writes times; none for the epoch.
std::optional<std::string> time_text(wall_clock::time_point at);

template <typename Number>
std::string number(Number value) {
  return std::to_string(value);
}
inline std::string flag(bool value) {
  return value ? "1" : "0";
}

// Cell by cell, for makers.
template <typename... Cell>
row make_row(Cell&&... cells) {
  row out;
  out.reserve(sizeof...(cells));
  (out.emplace_back(std::forward<Cell>(cells)), ...);
  return out;
}

}  // namespace tidegate::admin
