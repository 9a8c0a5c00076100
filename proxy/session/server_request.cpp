#include "proxy/session/server_request.hpp"

#include <utility>

namespace tidegate::session {

pool::credentials credentials_of(accepted_client& client, const config::database_settings& database) {
  if (client.method == config::auth_method::passthrough) return pool::passthrough{&client.channel};
  if (database.server_auth && !database.server_auth->password.empty())
    return pool::password{database.server_auth->password};
  if (database.server_auth && !database.server_auth->user.empty()) return pool::no_credentials{};
  if (!client.secret.empty()) return pool::password{client.secret};
  if (client.scram) return *client.scram;
  return pool::no_credentials{};
}

pool::login_request request_for(accepted_client& client, const config::database_settings& database,
                                pool::server_endpoint_ptr endpoint) {
  pool::login_request request;
  request.endpoint = std::move(endpoint);
  const bool has_other_user = database.server_auth && !database.server_auth->user.empty() &&
                              client.method != config::auth_method::passthrough;
  request.user = has_other_user ? database.server_auth->user : client.user;
  request.database = database.dbname.empty() ? client.database : database.dbname;
  request.parameters = client.parameters;
  // Between the two nothing was ever released.
  request.version =
      client.version >= protocol::protocol_3_2 ? protocol::protocol_3_2 : protocol::protocol_3_0;
  request.with = credentials_of(client, database);
  return request;
}

std::unique_ptr<own_login> login_again(const pool::login_request& request,
                                       const config::database_settings& database) {
  if (database.control.user.empty()) return nullptr;
  auto login = std::make_unique<own_login>(own_login{request});
  if (std::holds_alternative<pool::passthrough>(request.with)) {
    login->as_control_role = true;
    login->request.user = database.control.user;
    login->request.with = database.control.password.empty()
                              ? pool::credentials(pool::no_credentials{})
                              : pool::credentials(pool::password{database.control.password});
  }
  return login;
}

std::string schema_of(const pool::login_request& request) {
  return request.endpoint->to_string() + "/" + request.database;
}

}  // namespace tidegate::session
