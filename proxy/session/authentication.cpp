#include "proxy/session/authentication.hpp"

#include <algorithm>

namespace tidegate::session {
namespace {

bool type_matches(config::connection_type type, const connection_facts& facts) {
  switch (type) {
    case config::connection_type::any:
      return true;
    case config::connection_type::local:
      return facts.peer.is_unix;
    case config::connection_type::host:
      return !facts.peer.is_unix;
    case config::connection_type::hostssl:
      return !facts.peer.is_unix && facts.is_tls;
    case config::connection_type::hostnossl:
      return !facts.peer.is_unix && !facts.is_tls;
  }
  return false;
}

bool names_match(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

bool addresses_match(const std::vector<config::network>& networks, const net::peer_address& peer) {
  return networks.empty() ||
         std::any_of(networks.begin(), networks.end(),
                     [&](const config::network& network) { return net::contains(network, peer); });
}

}  // namespace

const config::auth_rule* find_rule(const std::vector<config::auth_rule>& rules,
                                   const connection_facts& facts) {
  const std::string_view database = facts.is_replication ? std::string_view("replication") : facts.database;
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const config::auth_rule& rule) {
    return type_matches(rule.type, facts) && names_match(rule.databases, database) &&
           names_match(rule.users, facts.user) && addresses_match(rule.addresses, facts.peer);
  });
  return found == rules.end() ? nullptr : &*found;
}

bool certificate_allows(const config::auth_settings& settings, const config::auth_rule& rule,
                        const net::tls::certificate_names& certificate, std::string_view user) {
  if (rule.map.empty()) return !certificate.common_name.empty() && certificate.common_name == user;
  const auto map = settings.user_maps.find(rule.map);
  if (map == settings.user_maps.end()) return false;
  return std::any_of(map->second.begin(), map->second.end(), [&](const config::user_map_entry& entry) {
    const bool is_named =
        (!certificate.common_name.empty() && entry.certificate == certificate.common_name) ||
        entry.certificate == certificate.distinguished_name;
    return is_named && (entry.user == "*" || entry.user == user);
  });
}

}  // namespace tidegate::session
