// listen, auth: how clients come in.

#include "config/network.hpp"
#include "config/sections.hpp"
#include "config/user_file.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

namespace tidegate::config {
namespace {

constexpr std::size_t largest_user_file = std::size_t{16} << 20;
constexpr number_range port_range{0, 65535};

void read_listen_tls(section_reader& tls, listen_tls_settings& out) {
  tls.word("mode", out.mode);
  tls.file("certificate", out.certificate);
  tls.file("key", out.key);
  tls.file("ca", out.ca);
  tls.word("min_version", out.min_version);
}

void read_socket_mode(section_reader& entry, unsigned& out) {
  std::string text;
  entry.text("socket_mode", text);
  if (text.empty()) return;
  unsigned mode = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || stopped != text.data() + text.size() || mode > 0777) {
    return entry.refuse("socket_mode", "no permissions of a file", "write them in octal: 0770");
  }
  out = mode;
}

void read_rule(section_reader& section, auth_rule& out) {
  section.word("type", out.type);
  section.texts("databases", out.databases);
  section.texts("users", out.users);
  std::vector<std::string> addresses;
  section.texts("address", addresses);
  for (const std::string& address : addresses) {
    if (const auto net = parse_network(address)) {
      out.addresses.push_back(*net);
    } else {
      section.refuse("address", "\"" + address + "\" is no network",
                     "write 10.0.0.0/8, fd00::/8 or an address, with no bits set behind the prefix");
    }
  }
  section.word("method", out.method);
  section.text("map", out.map);
}

void read_auth_query(section_reader& section, auth_query_settings& out, const load_options& options) {
  section.text("database", out.database);
  section.text("user", out.user);
  read_password(section, out.password, options);
  section.text("query", out.query);
  if (!section.has("database")) section.refuse("database", "is needed", "name the database that is asked");
  if (!section.has("user")) section.refuse("user", "is needed", "name the role that asks");
}

void read_user_file(section_reader& auth, auth_settings& out, const load_options& options) {
  auth.file("user_file", out.user_file);
  if (out.user_file.empty() || !options.reads_files) return;
  user_list list = parse_user_list(read_whole_file(auth, "user_file", out.user_file, largest_user_file));
  for (const problem& p : list.problems) auth.refuse("user_file", to_text(out.user_file, p));
  out.users = std::move(list.users);
}

}  // namespace

std::string read_whole_file(section_reader& section, std::string_view key, const std::string& file,
                            std::size_t limit) {
  std::ifstream in(file, std::ios::binary);
  std::string text(limit + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (!in.is_open() || in.bad()) {
    section.refuse(key, "cannot read " + file);
    return {};
  }
  if (text.size() > limit) {
    section.refuse(key, file + " has more than " + std::to_string(limit) + " bytes");
    return {};
  }
  return text;
}

void read_password(section_reader& section, std::string& out, const load_options& options) {
  constexpr std::size_t longest = 64 * 1024;
  std::string file;
  section.text("password", out);
  section.file("password_file", file);
  if (file.empty()) return;
  if (section.has("password")) {
    return section.refuse("password_file", "is here beside password", "keep one of them");
  }
  if (!options.reads_files) return;
  const std::string text = read_whole_file(section, "password_file", file, longest);
  out = text.substr(0, text.find_first_of("\r\n"));
}

void read_listen(section_reader& root, settings& out) {
  root.sections("listen", [&](section_reader& entry) {
    listen_settings listen;
    entry.text("address", listen.address);
    entry.number("port", listen.port, port_range);
    entry.file("socket", listen.socket);
    read_socket_mode(entry, listen.socket_mode);
    entry.section("tls", [&](section_reader& tls) { read_listen_tls(tls, listen.tls); });
    if (entry.has("socket")) {
      for (const char* key : {"address", "port", "tls"}) {
        if (entry.has(key)) entry.refuse(key, "is not for a unix socket", "give it an entry of its own");
      }
      listen.address.clear();
    } else if (entry.has("socket_mode")) {
      entry.refuse("socket_mode", "is for a unix socket only", "leave it out, or write socket: /path");
    } else if (listen.address.empty()) {
      entry.refuse("address", "is empty", "write 0.0.0.0 or :: for every address");
    }
    out.listen.push_back(std::move(listen));
  });
  if (out.listen.empty()) out.listen.emplace_back();
}

void read_auth(section_reader& root, auth_settings& out, const load_options& options) {
  bool says_how = false;
  root.section("auth", [&](section_reader& auth) {
    auth_rule everyone;
    auth.word("method", everyone.method);
    auth.text("map", everyone.map);
    auth.sections("rules", [&](section_reader& section) {
      read_rule(section, out.rules.emplace_back());
      if (!section.has("method"))
        section.refuse("method", "is needed", "write method: scram-sha-256, or another");
    });
    read_user_file(auth, out, options);
    auth.section("auth_query",
                 [&](section_reader& query) { read_auth_query(query, out.query.emplace(), options); });
    auth.named("user_maps", "<map>", [&](const std::string& name, section_reader& maps) {
      auto& map = out.user_maps[name];
      maps.sections(name, [&](section_reader& entry) {
        entry.text("certificate", map.emplace_back().certificate);
        entry.text("user", map.back().user);
        for (const char* key : {"certificate", "user"}) {
          if (!entry.has(key)) entry.refuse(key, "is needed", "write {certificate: common name, user: role}");
        }
      });
    });
    if (auth.has("method") && auth.has("rules")) {
      auth.refuse("method", "is here beside rules", "put it into the last rule: - {method: …}");
    } else if (auth.has("method")) {
      out.rules = {everyone};
    } else if (auth.has("map")) {
      auth.refuse("map", "is here without method", "put it into a rule whose method is cert");
    }
    says_how = auth.has("method") || auth.has("rules");
  });
  if (!says_how)
    root.refuse("auth", "does not say who may come in", "write auth: {method: scram-sha-256}, or rules");
}

}  // namespace tidegate::config
