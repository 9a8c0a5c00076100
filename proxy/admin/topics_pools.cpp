// SHOW POOLS, DATABASES, USERS, LISTS: what clients and servers add up to.

#include "config/words.hpp"
#include "proxy/admin/topics.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace tidegate::admin {
namespace {

struct pool_counts {
  unsigned clients_active = 0, clients_waiting = 0;
  unsigned servers_active = 0, servers_idle = 0, servers_login = 0;
  std::chrono::microseconds longest_wait{0};

  unsigned servers() const { return servers_active + servers_idle + servers_login; }
  unsigned clients() const { return clients_active + clients_waiting; }
};

using pool_key = std::pair<std::string, std::string>;  // database, user

std::map<pool_key, pool_counts> count_pools(const worker_snapshot& sessions) {
  std::map<pool_key, pool_counts> pools;
  const auto waits = [](pool_counts& pool, std::chrono::microseconds since) {
    ++pool.clients_waiting;
    pool.longest_wait = std::max(pool.longest_wait, since);
  };
  for (const client_row& c : sessions.clients) {
    pool_counts& pool = pools[{c.database, c.user}];
    if (c.state == client_state::waiting)
      waits(pool, c.waits);
    else
      ++pool.clients_active;
  }
  for (const server_row& s : sessions.servers) {
    pool_counts& pool = pools[{s.database, s.user}];
    ++(s.state == server_state::active ? pool.servers_active
       : s.state == server_state::idle ? pool.servers_idle
                                       : pool.servers_login);
  }
  for (const login_row& l : sessions.logins) {
    pool_counts& pool = pools[{l.database, l.user}];
    waits(pool, l.waits);
    if (l.connecting) ++pool.servers_login;
  }
  return pools;
}

unsigned size_of(const config::pool_settings& pool) {
  return pool.size.value_or(pool.mode == config::pool_mode::transaction ? config::default_pool_size : 0);
}

std::string mode_of(const config::settings& settings, std::string_view database) {
  const auto* entry = config::find_database(settings, database);
  return std::string(config::word(entry == nullptr ? config::pool_mode::session : entry->pool.mode));
}

template <typename Key>
pool_counts sum_of(const std::map<pool_key, pool_counts>& pools, Key key, const std::string& name) {
  pool_counts sum;
  for (const auto& [pool, counts] : pools) {
    if (pool.*key != name) continue;
    sum.clients_active += counts.clients_active;
    sum.clients_waiting += counts.clients_waiting;
    sum.servers_active += counts.servers_active;
    sum.servers_idle += counts.servers_idle;
    sum.servers_login += counts.servers_login;
  }
  return sum;
}

// The configuration's names, and those that "*" serves now.
std::vector<std::string> database_names(const overview& all) {
  std::set<std::string> found;
  for (const auto& entry : all.settings->databases) {
    if (entry.name != "*") found.insert(entry.name);
  }
  for (const client_row& c : all.sessions.clients) found.insert(c.database);
  for (const server_row& s : all.sessions.servers) found.insert(s.database);
  for (const login_row& l : all.sessions.logins) found.insert(l.database);
  return {found.begin(), found.end()};
}

std::set<std::string> user_names(const overview& all) {
  std::set<std::string> found;
  for (const auto& [user, secret] : all.settings->auth.users) found.insert(user);
  for (const auto& [user, limit] : all.settings->limits.users) found.insert(user);
  found.insert(all.settings->admin.users.begin(), all.settings->admin.users.end());
  found.insert(all.settings->admin.stats_users.begin(), all.settings->admin.stats_users.end());
  for (const client_row& c : all.sessions.clients) found.insert(c.user);
  for (const login_row& l : all.sessions.logins) found.insert(l.user);
  return found;
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

rows make_pools(const overview& all) {
  rows out;
  for (const auto& [key, pool] : count_pools(all.sessions)) {
    out.push_back(make_row(key.first, key.second, number(pool.clients_active), number(pool.clients_waiting),
                           "0", "0", number(pool.servers_active), "0", "0", number(pool.servers_idle), "0",
                           "0", number(pool.servers_login), number(pool.longest_wait.count() / 1'000'000),
                           number(pool.longest_wait.count() % 1'000'000), mode_of(*all.settings, key.first),
                           std::nullopt));
  }
  return out;
}

rows make_databases(const overview& all) {
  rows out;
  const auto pools = count_pools(all.sessions);
  for (const std::string& name : database_names(all)) {
    const auto* entry = config::find_database(*all.settings, name);
    if (entry == nullptr) continue;  // gone from the configuration while clients are still there
    const pool_counts now = sum_of(pools, &pool_key::first, name);
    const unsigned most_clients =
        entry->max_clients != 0 ? entry->max_clients : all.settings->limits.max_clients_per_database;
    std::optional<std::string> forced;
    if (entry->server_auth && !entry->server_auth->user.empty()) forced = entry->server_auth->user;
    out.push_back(
        make_row(name, entry->host, number(entry->port), entry->dbname.empty() ? name : entry->dbname,
                 std::move(forced), number(size_of(entry->pool)), number(entry->pool.minimum),
                 number(entry->pool.reserve), number(entry->pool.lifetime.count() / 1000),
                 mode_of(*all.settings, name), std::nullopt, "0", number(now.servers()), number(most_clients),
                 number(now.clients()), flag(all.is_paused(name)), flag(all.is_disabled(name)), "0"));
  }
  return out;
}

rows make_users(const overview& all) {
  rows out;
  const auto pools = count_pools(all.sessions);
  for (const std::string& name : user_names(all)) {
    const auto& limits = all.settings->limits;
    const auto own = limits.users.find(name);
    const unsigned most = own != limits.users.end() ? own->second : limits.max_clients_per_user;
    const pool_counts now = sum_of(pools, &pool_key::second, name);
    out.push_back(make_row(name, std::nullopt, std::nullopt, std::nullopt, "0", number(now.servers()),
                           number(most), number(now.clients()),
                           is_among(all.settings->admin.users, name)         ? "yes"
                           : is_among(all.settings->admin.stats_users, name) ? "stats"
                                                                             : "no"));
  }
  return out;
}

rows make_lists(const overview& all) {
  const auto pools = count_pools(all.sessions);
  const auto line = [](std::string name, std::size_t items) {
    return make_row(std::move(name), number(items));
  };
  const auto free_servers = static_cast<std::size_t>(std::ranges::count_if(
      all.sessions.servers, [](const server_row& s) { return s.state == server_state::idle; }));
  return {line("databases", database_names(all).size()),
          line("users", user_names(all).size()),
          line("pools", pools.size()),
          line("free_clients", 0),
          line("used_clients", all.sessions.clients.size()),
          line("login_clients", all.sessions.logging_in),
          line("free_servers", free_servers),
          line("used_servers", all.sessions.servers.size() - free_servers),
          line("dns_names", 0),
          line("dns_zones", 0),
          line("dns_queries", 0),
          line("dns_pending", 0)};
}

}  // namespace tidegate::admin
