#include "config/access.hpp"

#include <algorithm>

namespace tidegate::config {
namespace {

bool type_matches(connection_type type, const arrival& who) {
  switch (type) {
    case connection_type::any:
      return true;
    case connection_type::local:
      return !who.address;
    case connection_type::host:
      return who.address.has_value();
    case connection_type::hostssl:
      return who.address && who.has_tls;
    case connection_type::hostnossl:
      return who.address && !who.has_tls;
  }
  return false;
}

bool names_match(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

bool address_matches(const std::vector<network>& networks, const std::optional<ip_address>& address) {
  if (networks.empty()) return true;
  return address &&
         std::ranges::any_of(networks, [&](const network& net) { return contains(net, *address); });
}

}  // namespace

const auth_rule* first_match(const auth_settings& auth, const arrival& who) {
  for (const auth_rule& rule : auth.rules) {
    if (type_matches(rule.type, who) && names_match(rule.databases, who.database) &&
        names_match(rule.users, who.user) && address_matches(rule.addresses, who.address)) {
      return &rule;
    }
  }
  return nullptr;
}

bool may_log_in(const auth_settings& auth, const auth_rule& rule, std::string_view common_name,
                std::string_view user) {
  if (common_name.empty()) return false;
  if (rule.map.empty()) return common_name == user;
  const auto map = auth.user_maps.find(rule.map);
  if (map == auth.user_maps.end()) return false;
  return std::ranges::any_of(map->second, [&](const user_map_entry& entry) {
    return entry.certificate == common_name && (entry.user == "*" || entry.user == user);
  });
}

}  // namespace tidegate::config
