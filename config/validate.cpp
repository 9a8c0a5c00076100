#include "config/validate.hpp"

#include "config/words.hpp"

#include <algorithm>
#include <string>

namespace tidegate::config {
namespace {

// sizeof(sockaddr_un::sun_path) less the terminating zero: unix(7).
constexpr std::size_t longest_socket = 107;

bool verifies(tls_mode mode) {
  return mode == tls_mode::verify_ca || mode == tls_mode::verify_full;
}

void validate_listen(const settings& all, reading& into) {
  for (std::size_t i = 0; i < all.listen.size(); ++i) {
    const listen_settings& listen = all.listen[i];
    const std::string path = "listen[" + std::to_string(i) + "]";
    if (listen.socket.size() > longest_socket) {
      into.refuse(path + ".socket", "is longer than a unix socket's name may be",
                  "use a path of at most " + std::to_string(longest_socket) + " bytes");
    }
    const listen_tls_settings& tls = listen.tls;
    if (tls.mode == tls_mode::disable) continue;
    if (tls.certificate.empty() || tls.key.empty()) {
      into.refuse(path + ".tls", "mode " + std::string(word(tls.mode)) + " needs certificate and key",
                  "name both files, or write mode: disable");
    }
    if (verifies(tls.mode) && tls.ca.empty()) {
      into.refuse(path + ".tls", "mode " + std::string(word(tls.mode)) + " needs ca",
                  "name the file of the authority that signs the clients' certificates");
    }
  }
}

void validate_rule(const settings& all, const auth_rule& rule, const std::string& path, reading& into) {
  const bool needs_secrets = rule.method == auth_method::scram_sha_256 || rule.method == auth_method::md5;
  if (needs_secrets && all.auth.user_file.empty() && !all.auth.query) {
    into.refuse(path + ".method", std::string(word(rule.method)) + " needs secrets to compare with",
                "add auth.user_file or auth.auth_query");
  }
  if (rule.method == auth_method::cert) {
    const bool asks_for_certificates = std::ranges::any_of(all.listen, [](const listen_settings& listen) {
      return listen.tls.mode != tls_mode::disable && !listen.tls.ca.empty();
    });
    if (!asks_for_certificates) {
      into.refuse(path + ".method", "cert needs a listener that asks for certificates",
                  "set tls.mode and tls.ca under listen");
    }
  } else if (!rule.map.empty()) {
    into.refuse(path + ".map", "is for method cert only", "leave it out");
  }
  if (!rule.map.empty() && !all.auth.user_maps.contains(rule.map)) {
    into.refuse(path + ".map", "no map has the name \"" + rule.map + "\"", "add it under auth.user_maps");
  }
  if (rule.type == connection_type::local && !rule.addresses.empty()) {
    into.refuse(path + ".address", "a unix socket has no address", "leave it out, or write type: host");
  }
  if (rule.method == auth_method::passthrough) {
    for (const database_settings& database : all.databases) {
      const bool applies = rule.databases.empty() || database.name == "*" ||
                           std::ranges::find(rule.databases, database.name) != rule.databases.end();
      if (applies && database.server_auth) {
        into.refuse("databases." + database.name + ".server_auth",
                    "with method passthrough the server authenticates the client itself",
                    "leave server_auth out, or use another method for this database");
      }
    }
  }
}

void validate_auth(const settings& all, reading& into) {
  for (std::size_t i = 0; i < all.auth.rules.size(); ++i) {
    const std::string path = "auth.rules[" + std::to_string(i) + "]";
    const bool is_list = into.positions.contains(path);
    validate_rule(all, all.auth.rules[i], is_list ? path : "auth", into);
  }
  if (all.auth.query && !all.auth.query->database.empty() &&
      find_database(all, all.auth.query->database) == nullptr) {
    into.refuse("auth.auth_query.database", "\"" + all.auth.query->database + "\" is not under databases",
                "use one of those names");
  }
}

void validate_admin(const settings& all, reading& into) {
  for (const std::string& alias : all.admin.aliases) {
    const bool is_taken = alias == "*" || std::ranges::any_of(all.databases, [&](const auto& database) {
                            return database.name == alias;
                          });
    if (is_taken) {
      into.refuse("admin.aliases", "\"" + alias + "\" is under databases",
                  "the console needs a name of its own");
    }
  }
}

void validate_server_tls(const server_tls_settings& tls, bool is_unix, const std::string& path,
                         reading& into) {
  if (verifies(tls.mode) && tls.ca.empty()) {
    into.refuse(path, "mode " + std::string(word(tls.mode)) + " needs ca",
                "name the file of the authority that signs the server's certificate");
  }
  if (tls.certificate.empty() != tls.key.empty()) {
    into.refuse(path, "certificate and key belong together", "name both files");
  }
  const bool insists = tls.mode == tls_mode::require || verifies(tls.mode);
  if (tls.direct && !insists) {
    into.refuse(path + ".direct", "direct TLS cannot fall back to a connection without it",
                "write mode: require, verify-ca or verify-full");
  }
  if (is_unix && insists) {
    into.refuse(path + ".mode", "there is no TLS over a unix socket", "leave it out, or use a TCP host");
  }
}

}  // namespace

void validate(const settings& all, reading& into) {
  validate_listen(all, into);
  validate_auth(all, into);
  validate_admin(all, into);
  for (const database_settings& database : all.databases)
    validate_server_tls(database.server_tls, database.is_unix(), "databases." + database.name + ".server_tls",
                        into);
  for (std::size_t i = 0; i < all.peers.gateways.size(); ++i) {
    const peer_settings& peer = all.peers.gateways[i];
    validate_server_tls(peer.tls, peer.host.starts_with('/'), "peers.gateways[" + std::to_string(i) + "].tls",
                        into);
  }
}

}  // namespace tidegate::config
