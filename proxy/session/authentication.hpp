#pragma once
// Who may come in and how they prove it: the pure part of the client's login. The list of rules is searched
// as PostgreSQL searches pg_hba.conf (the first line that matches decides, none is a refusal).

#include "config/settings.hpp"
#include "proxy/net/address.hpp"
#include "proxy/net/tls.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>

namespace tidegate::session {

// A user's secret as PostgreSQL stores it (pg_authid.rolpassword): SCRAM-SHA-256$…, md5…, or the password
// itself.
struct user_secret {
  std::string secret;      // empty: the user has none and cannot log in by password
  bool may_log_in = true;  // rolcanlogin, and VALID UNTIL is not over
};

// Asks for the secret of a user that the user file does not have (auth_query). None: no such user. An error:
// could not ask, and the client is refused with 08006 rather than told anything of the user. Empty: nobody is
// asked.
using secret_lookup = std::function<boost::asio::awaitable<boost::system::result<std::optional<user_secret>>>(
    std::string user, std::string database)>;

struct connection_facts {
  net::peer_address peer;
  bool is_tls = false;
  bool is_replication =
      false;  // physical replication: only a rule that names the database "replication" matches
  std::string database;
  std::string user;
};

// The rule that decides, or null: "no rule of auth.rules allows …" (28000). Points into `rules`.
const config::auth_rule* find_rule(const std::vector<config::auth_rule>& rules,
                                   const connection_facts& facts);

// Whether a certificate's common name may log in as `user` by the rule's map (without a map: when they are
// equal).
bool certificate_allows(const config::auth_settings& settings, const config::auth_rule& rule,
                        const net::tls::certificate_names& certificate, std::string_view user);

}  // namespace tidegate::session
