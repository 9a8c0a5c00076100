#pragma once
// Reads the files of PgBouncer as its manual describes them: the ini file with its includes, connection
// strings, the HBA file, the ident map and the user list. Values with the place they come from; nothing is
// judged here. Pure: files are read by whoever calls.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::cli {

// The content of a file, or none when it can't be read.
using file_source = std::function<std::optional<std::string>(const std::string& file)>;

struct ini_entry {
  std::string key;
  std::string value;
  std::string place;  // "pgbouncer.ini:12"
};

struct pgbouncer_ini {
  std::vector<ini_entry> settings, databases, users, peers;
  std::vector<std::pair<std::string, std::string>> problems;  // place, what is wrong there

  // The last one counts when a key is there twice. Null: not set.
  const ini_entry* find(std::string_view key) const;
};

pgbouncer_ini read_pgbouncer_ini(const std::string& file, const file_source& source);

// `host=a port=5432 password='it''s'`. None: it can't be read.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_connection_string(
    std::string_view text);

struct hba_line {
  std::string place;
  std::string type;
  std::vector<std::string> databases, users;
  std::string address;  // empty: none (local); "10.0.0.0/8", "all", a name
  std::string mask;     // when it stands beside the address
  std::string method;
  std::map<std::string, std::string> options;
};

struct hba_file {
  std::vector<hba_line> lines;
  std::vector<std::pair<std::string, std::string>> problems;
};

hba_file read_hba_file(const std::string& name, std::string_view text);

struct ident_line {
  std::string map, system_user, user;
};
std::vector<ident_line> read_ident_file(std::string_view text);

// The first two fields of each line; what PgBouncer ignores is ignored. The first line of a user counts.
std::map<std::string, std::string> read_userlist(std::string_view text);
// The same users in the form that config::parse_user_list reads.
std::string to_user_file(const std::map<std::string, std::string>& users);

}  // namespace tidegate::cli
