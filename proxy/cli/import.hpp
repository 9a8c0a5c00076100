#pragma once
// `tidegate import pgbouncer.ini`: a configuration of PgBouncer as one of Tidegate. The YAML goes to standard
// output; what could not be translated, and why, to standard error and into comments of the YAML.

#include "proxy/cli/pgbouncer_files.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace tidegate::cli {

struct imported {
  std::string yaml;                  // the loader takes it
  std::vector<std::string> remarks;  // "pgbouncer.ini:12: pool_mode: …", in the order of the file
  std::map<std::string, std::string> clean_users;  // of auth_file, when options.user_file is to be written
};

struct import_options {
  std::string file;
  std::string user_file;  // where a clean copy of auth_file is written; empty: nowhere
};

// Pure but for what `source` reads. `folder`: what relative names of the files inside begin at (PgBouncer's
// working directory).
imported import_pgbouncer(const import_options& options, const std::string& folder,
                          const file_source& source);

// Exit codes: 0 everything that means something was translated, 1 there are remarks, 2 the file can't be
// read.
int run_import(const import_options& options, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
