#pragma once
// `tidegate demo [--keep]`: a throwaway PostgreSQL, a gateway in front of it inside this process, and a story
// told in the terminal. Reads no configuration and leaves nothing behind, however it ends.

#include <iosfwd>

namespace tidegate::cli {

struct demo_options {
  bool keep = false;      // leave the servers running afterwards, until SIGINT or SIGTERM
  bool coloured = false;  // the output goes to a terminal
};

// Exit code: 0 when the story was told, or a signal ended it; 3 when PostgreSQL is not installed or something
// went otherwise than promised.
int run_demo(const demo_options& options, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
