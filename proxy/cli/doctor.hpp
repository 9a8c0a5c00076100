#pragma once
// `tidegate doctor`: can a gateway with this configuration do its work on these servers, and what is risky
// there? Changes nothing. It says what is wrong in one line and what to do about it in the next, as SQL or as
// a key of the configuration.

#include "config/settings.hpp"
#include "proxy/control/server_examination.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace tidegate::cli {

enum class severity : std::uint8_t {
  fine,     // as it should be
  note,     // worth knowing
  warning,  // works, but something is missing or risky
  problem,  // the gateway can't do its work
};

struct advice {
  severity how_bad = severity::fine;
  std::string what;
  std::string remedy;  // empty: nothing to do
};

// What the configuration alone shows.
std::vector<advice> advise_on(const config::settings& settings);
// What a server shows for an entry of the configuration.
std::vector<advice> advise_on(const control::server_examination& server,
                              const config::database_settings& entry, const config::settings& settings);

// Exit codes: 0 nothing beyond notes, 1 warnings or problems, 2 the configuration can't be used, 3 a server
// can't be reached. The report goes to `out`, complaints about the file to `err`.
int run_doctor(const std::string& config_file, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
