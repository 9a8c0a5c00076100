#pragma once
// `tidegate serve --config FILE`: reads the configuration and runs a gateway until it is told to end.

#include <iosfwd>
#include <string>

namespace tidegate::cli {

// Exit code: 0 after an orderly end, 2 for a configuration that can't be used, 3 when an address or file is
// not to be had.
int run_serve(const std::string& config_file, std::ostream& errors);

}  // namespace tidegate::cli
