#pragma once
// The admin console's language: from a query string to commands. Case does not matter in what is ours; names
// of databases are taken as they are typed, as in a connection string, with or without double quotes.
// Comments are left out. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::admin {

enum class verb : std::uint8_t {
  show,         // name: the topic; value: of SHOW LEDGER a database, empty: all
  pause,        // name: a database; empty: all
  resume,       // likewise
  disable,      // name: a database
  enable,       // likewise
  kill,         // name: a database; empty: all
  kill_client,  // value: the id
  reconnect,    // name: a database; empty: all
  reload,
  shutdown,  // value: empty, "wait_for_clients" or "wait_for_servers"
  set,       // name: the key, value
  select,    // health checks of drivers and load balancers; name: of the column, value: the expression
  begin,     // of a driver that opens a transaction around everything; nothing is undone
  commit,
  rollback,
  discard,  // DISCARD ALL, DEALLOCATE ALL: there is nothing
};

// What a SELECT asks for; nothing else can be selected.
enum class selected : std::uint8_t { number, text, version, user, database };

struct command {
  verb what = verb::show;
  std::string name;
  std::string value;
  selected expression = selected::number;  // of verb::select

  bool operator==(const command&) const = default;
};

struct syntax_problem {
  std::string message;  // one line, lower case
  std::string hint;
  std::size_t at = 0;  // byte offset in the text
};

struct script {
  std::vector<command> commands;  // in order; empty statements are none
  std::optional<syntax_problem> problem;
};

// All of the text, or the first problem in it: as in PostgreSQL, nothing of a text that can't be read runs.
script parse_script(std::string_view text);

// The command as it is logged and audited, and what its CommandComplete says.
std::string to_text(const command& c);
std::string_view tag_of(const command& c);

// Whether it only looks.
bool only_looks(const command& c);

// "SHOW HELP, PAUSE [database], …": one line for hints.
std::string_view command_list();

}  // namespace tidegate::admin
