#pragma once
// Who may come in: the first rule that matches a connection decides, as in pg_hba.conf. Pure; any thread.

#include "config/network.hpp"
#include "config/settings.hpp"

#include <optional>
#include <string_view>

namespace tidegate::config {

struct arrival {
  std::optional<ip_address> address;  // none: a unix socket
  bool has_tls = false;
  std::string_view database;
  std::string_view user;
};

// Null: no rule matches, and the client is refused. Points into `auth`.
const auth_rule* first_match(const auth_settings& auth, const arrival& who);

// Whether a certificate with this common name may log in as `user` under the rule's map.
bool may_log_in(const auth_settings& auth, const auth_rule& rule, std::string_view common_name,
                std::string_view user);

}  // namespace tidegate::config
