#include "proxy/control/control_settings.hpp"

#include "proxy/control/query_result.hpp"

#include <memory>
#include <stdexcept>
#include <string_view>

#include <libpq-fe.h>

namespace tidegate::control {

namespace {

std::string_view libpq_name(config::tls_mode mode) {
  switch (mode) {
    case config::tls_mode::disable:
      return "disable";
    case config::tls_mode::allow:
      return "allow";
    case config::tls_mode::prefer:
      return "prefer";
    case config::tls_mode::require:
      return "require";
    case config::tls_mode::verify_ca:
      return "verify-ca";
    case config::tls_mode::verify_full:
      return "verify-full";
  }
  return "verify-full";
}

}  // namespace

std::optional<control_target> control_target_of(const config::database_settings& entry,
                                                const std::string& database) {
  if (entry.control.user.empty()) return std::nullopt;
  control_target target;
  control_settings& settings = target.settings;
  settings.host = entry.host;
  settings.port = entry.port;
  settings.user = entry.control.user;
  settings.password = entry.control.password;
  settings.tls_mode = libpq_name(entry.server_tls.mode);
  const auto add = [&](const char* keyword, const std::string& value) {
    if (!value.empty()) settings.more.emplace(keyword, value);
  };
  add("sslrootcert", entry.server_tls.ca);
  add("sslcert", entry.server_tls.certificate);
  add("sslkey", entry.server_tls.key);
  target.database = !entry.control.dbname.empty() ? entry.control.dbname
                    : !entry.dbname.empty()       ? entry.dbname
                                                  : database;
  return target;
}

control_target parse_conninfo(const std::string& conninfo) {
  char* problem = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(conninfo.c_str(), &problem), PQconninfoFree);
  if (!options) {
    const std::string message = problem ? problem : "out of memory";
    PQfreemem(problem);
    throw std::invalid_argument(message.substr(0, message.find('\n')));
  }
  control_target target;
  control_settings& settings = target.settings;
  settings.port = 0;
  settings.tls_mode.clear();
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option) {
    if (!option->val) continue;
    const std::string_view keyword = option->keyword;
    const std::string value = option->val;
    if (keyword == "host")
      settings.host = value;
    else if (keyword == "user")
      settings.user = value;
    else if (keyword == "password")
      settings.password = value;
    else if (keyword == "dbname")
      target.database = value;
    else if (keyword == "sslmode")
      settings.tls_mode = value;
    else if (keyword == "port" && value.find(',') == std::string::npos)
      settings.port = number<std::uint16_t>({value}, 0).value_or(0);
    else if (keyword != "application_name" && keyword != "client_encoding")
      settings.more.emplace(keyword, value);
  }
  return target;
}

}  // namespace tidegate::control
