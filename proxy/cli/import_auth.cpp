// Who may come in: auth_type, auth_file, auth_query, the HBA file.

#include "config/network.hpp"
#include "config/user_file.hpp"
#include "proxy/cli/import_parts.hpp"

#include <algorithm>
#include <charconv>

namespace tidegate::cli {
namespace {

// Whether secrets can be looked up once the configuration is written.
bool import_secrets(import_state& state) {
  bool has_secrets = false;
  const std::string file = state.setting("auth_file", "");
  if (!file.empty()) {
    const auto text = state.source(file);
    if (!text) {
      state.remark_key("auth_file", "cannot read " + file + "; auth.user_file is left out");
    } else {
      state.users = read_userlist(*text);
      const bool is_fit = config::parse_user_list(*text).problems.empty();
      if (!state.options.user_file.empty()) {
        state.out["auth"].set("user_file", state.absolute(state.options.user_file));
        has_secrets = true;
      } else if (is_fit) {
        state.out["auth"].set("user_file", state.absolute(file));
        has_secrets = true;
      } else {
        state.remark_key("auth_file",
                         "has lines that Tidegate does not take (more than two fields, users that come "
                         "twice); import it again with --user-file FILE, which writes a clean copy");
      }
    }
  }

  const std::string user = state.setting("auth_user", "");
  const auto query = state.setting("auth_query");
  const auto database = state.setting("auth_dbname");
  if (user.empty()) {
    if (query) state.remark_key("auth_query", "without auth_user nobody asks it");
    return has_secrets;
  }
  // PgBouncer asks in the database that the client wants.
  std::string asked = database.value_or("");
  const auto has = [&](const std::string& name) {
    return std::ranges::any_of(state.ini.databases, [&](const ini_entry& e) { return e.key == name; });
  };
  if (asked.empty() || (!has(asked) && !has("*"))) {
    const auto first = std::ranges::find_if(state.ini.databases, [](const ini_entry& e) {
      return e.key != "*" && e.key != config::console_database;
    });
    asked = first != state.ini.databases.end() ? first->key : has("*") ? "postgres" : "";
    if (!asked.empty())
      state.remark_key("auth_user", "the query is asked in one database here: \"" + asked +
                                        "\" is written; what it needs has to be there");
  }
  if (asked.empty()) {
    state.remark_key("auth_user", "there is no database to ask; left out");
    return has_secrets;
  }
  yaml_text& out = state.out["auth"]["auth_query"];
  out.set("database", asked);
  out.set("user", user);
  if (const auto known = state.users.find(user);
      known != state.users.end() && !known->second.starts_with("SCRAM-SHA-256$") &&
      !known->second.starts_with("md5") && !known->second.empty()) {
    out.set("password", known->second);
    state.remark_key("auth_user", "its password stands in the clear in the new file; keep it private");
  }
  if (query) out.set("query", *query);
  return true;
}

class hba_import {
 public:
  hba_import(import_state& state, bool has_secrets) : state_(state), has_secrets_(has_secrets) {}

  void run() {
    const std::string file = state_.setting("auth_hba_file", "");
    const auto text = file.empty() ? std::nullopt : state_.source(file);
    if (!text) {
      state_.remark_key("auth_hba_file", "cannot read it: nobody is let in");
      state_.out["auth"].set("method", "reject");
      return;
    }
    if (const auto idents = state_.setting("auth_ident_file"); idents) {
      if (const auto maps = state_.source(*idents)) idents_ = read_ident_file(*maps);
    }
    const hba_file hba = read_hba_file(file, *text);
    for (const auto& [place, what] : hba.problems) state_.remark(place, what);
    for (const hba_line& line : hba.lines) {
      if (add(line)) continue;
      if (line.method != "reject") continue;
      // Whom it rejects could come in by what stands behind it.
      state_.remark(line.place, "since this line can't be translated, everybody is rejected from here on");
      break;
    }
    state_.out["auth"]["rules"].add().set("method", "reject");
  }

 private:
  bool refuse(const hba_line& line, const std::string& why) {
    state_.remark(line.place, why + "; the line is left out");
    return false;
  }

  // The names as a list; empty: all. False: something can't be said.
  static bool take_names(const std::vector<std::string>& names, std::vector<std::string>& out) {
    for (const std::string& name : names) {
      if (name == "all") {
        out.clear();
        return true;
      }
      if (name.starts_with('@') || name.starts_with('+') || name.starts_with('/') || name == "sameuser" ||
          name == "samerole" || name == "samegroup")
        return false;
      out.push_back(name);
    }
    return !out.empty();
  }

  static std::optional<std::string> network_of(const hba_line& line) {
    if (line.mask.empty())
      return config::parse_network(line.address) ? std::optional(line.address) : std::nullopt;
    const auto mask = config::parse_address(line.mask);
    if (!mask) return std::nullopt;
    unsigned bits = 0;
    const std::size_t size = mask->is_v6 ? 16 : 4;
    for (std::size_t i = 0; i < size; ++i) bits += static_cast<unsigned>(__builtin_popcount(mask->bytes[i]));
    std::string text = line.address + "/" + std::to_string(bits);
    return config::parse_network(text) ? std::optional(text) : std::nullopt;
  }

  bool add(const hba_line& line) {
    yaml_text rule;
    if (line.type != "local" && line.type != "host" && line.type != "hostssl" && line.type != "hostnossl")
      return refuse(line, "type " + line.type + " is not known");
    rule.set("type", line.type);
    std::vector<std::string> databases, users;
    if (!take_names(line.databases, databases))
      return refuse(line, "such databases can't be named in a rule");
    if (!take_names(line.users, users)) return refuse(line, "such users can't be named in a rule");
    if (!databases.empty()) rule.set("databases", databases);
    if (!users.empty()) rule.set("users", users);
    if (line.type != "local" && line.address != "all") {
      const auto network = network_of(line);
      if (!network) return refuse(line, "address " + line.address + " is no network");
      if (*network != "0.0.0.0/0" && *network != "::/0") rule.set("address", *network);
    }
    if (!set_method(line, rule)) return false;
    state_.out["auth"]["rules"].add() = std::move(rule);
    return true;
  }

  bool set_method(const hba_line& line, yaml_text& rule) {
    const std::string& method = line.method;
    if (method == "trust" || method == "reject") {
      rule.set("method", method);
      return true;
    }
    if (method == "md5" || method == "scram-sha-256" || method == "password" || method == "plain") {
      if (!has_secrets_) return refuse(line, "method " + method + " needs auth_file or auth_user");
      const bool is_plain = method == "password" || method == "plain";
      if (is_plain) state_.remark(line.place, "method " + method + " is scram-sha-256 here");
      rule.set("method", is_plain ? "scram-sha-256" : method);
      return true;
    }
    if (method == "cert") {
      if (!state_.asks_for_certificates)
        return refuse(line, "method cert needs client_tls_ca_file and TLS for clients");
      rule.set("method", "cert");
      if (const auto map = line.options.find("map"); map != line.options.end()) {
        if (!add_map(map->second)) return refuse(line, "map " + map->second + " is not in auth_ident_file");
        rule.set("map", map->second);
      }
      return true;
    }
    return refuse(line, "method " + method + " does not exist here");
  }

  bool add_map(const std::string& name) {
    yaml_text list;
    bool found = false;
    for (const ident_line& each : idents_) {
      if (each.map != name) continue;
      yaml_text& entry = list.add();
      entry.set("certificate", each.system_user);
      entry.set("user", each.user == "all" ? "*" : each.user);
      found = true;
    }
    if (found) state_.out["auth"]["user_maps"][name] = std::move(list);
    return found;
  }

  import_state& state_;
  bool has_secrets_;
  std::vector<ident_line> idents_;
};

}  // namespace

void import_auth(import_state& state) {
  yaml_text& auth = state.out["auth"];
  const bool has_secrets = import_secrets(state);
  const std::string type = state.setting("auth_type", "md5");
  state.setting("auth_ident_file");
  if (type == "hba") {
    hba_import(state, has_secrets).run();
  } else if (type == "trust" || type == "any") {
    auth.set("method", "trust");
    if (type == "trust")
      state.remark_key("auth_type", "trust lets in every user here, not only those of auth_file");
    else
      state.remark_key("auth_type",
                       "any is trust here: a client's name is not ignored; limits and policies see it");
  } else if (type == "md5" || type == "scram-sha-256" || type == "plain") {
    if (!has_secrets) {
      auth.set("method", "reject");
      state.remark_key("auth_type", type + " needs auth_file or auth_user: nobody is let in");
    } else {
      auth.set("method", type == "plain" ? "scram-sha-256" : type);
      if (type == "plain")
        state.remark_key("auth_type", "plain is scram-sha-256 here: no password in the clear");
    }
  } else if (type == "cert" && state.asks_for_certificates) {
    auth.set("method", "cert");
  } else {
    auth.set("method", "reject");
    state.remark_key("auth_type", type == "cert"
                                      ? "cert needs client_tls_ca_file and TLS for clients: nobody is let in"
                                      : type + " does not exist here: nobody is let in");
  }
  if (type != "hba" && state.setting("auth_hba_file"))
    state.remark_key("auth_hba_file", "is used by auth_type hba only");
}

}  // namespace tidegate::cli
