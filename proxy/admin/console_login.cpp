#include "proxy/admin/console_login.hpp"

#include "protocol/authentication.hpp"
#include "protocol/session_info.hpp"
#include "protocol/sqlstate.hpp"
#include "protocol/writer.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/admin/console_commands.hpp"
#include "proxy/version.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace tidegate::admin {
namespace {

namespace sqlstate = protocol::sqlstate;

session::report problem(std::string_view state, std::string message, std::string hint = {}) {
  return {
      .sqlstate = std::string(state), .message = std::move(message), .detail = {}, .hint = std::move(hint)};
}

bool asks_for_replication(const session::accepted_client& client) {
  for (const pool::parameter& each : client.parameters) {
    if (each.name == "replication")
      return each.value != "false" && each.value != "off" && each.value != "0" && each.value != "no";
  }
  return false;
}

}  // namespace

std::optional<session::report> console_refusal(const session::accepted_client& client,
                                               const session::shared_services& shared) {
  if (client.method == config::auth_method::passthrough)
    return problem(
        sqlstate::invalid_authorization_specification,
        "method passthrough can't prove who a user of the admin console is: there is no server to ask",
        "a rule of auth.rules for database \"" + client.database + "\" with another method is needed");
  if (rights_of(*shared.settings.load(), client.user) == rights::none)
    return problem(sqlstate::insufficient_privilege,
                   "user \"" + client.user + "\" may not use the admin console",
                   "admin.users and admin.stats_users name those who may");
  if (asks_for_replication(client))
    return problem(sqlstate::feature_not_supported, "the admin console has nothing to replicate");
  if (shared.admin.sessions >= most_consoles)
    return problem(sqlstate::too_many_connections, "too many admin consoles are open");
  return std::nullopt;
}

protocol::byte_buffer console_greeting(const session::accepted_client& client,
                                       const pool::cancel_registration& key) {
  protocol::byte_buffer out = client.welcome;
  protocol::writer to(out);
  encode(to, protocol::authentication_ok{});
  // A version that drivers know what to make of: the oldest server that Tidegate stands before.
  const std::string server_version = "12.0 (Tidegate " + std::string(version) + ")";
  const std::pair<std::string_view, std::string_view> parameters[] = {
      {"server_version", server_version},
      {"server_encoding", "UTF8"},
      {"client_encoding", "UTF8"},
      {"application_name", client.application_name},
      {"is_superuser", "off"},
      {"session_authorization", client.user},
      {"DateStyle", "ISO, MDY"},
      {"IntervalStyle", "postgres"},
      {"TimeZone", "UTC"},
      {"integer_datetimes", "on"},
      {"standard_conforming_strings", "on"}};
  for (const auto& [name, value] : parameters) encode(to, protocol::parameter_status{name, value});
  encode(to, protocol::backend_key_data{key.pid(), key.key()});
  return out;
}

}  // namespace tidegate::admin
