#pragma once
// `tidegate plan`: what the gateway would do with one statement in a database, step by step, without doing
// it.

#include <iosfwd>
#include <string>

namespace tidegate::cli {

// As they stand on the command line; empty: not given.
struct plan_options {
  std::string format = "text";   // text | json
  std::string server_version{};  // "15", "14.2" or server_version_num
  std::string database{};        // connection URI or keywords
  std::string config{};          // file whose policies apply
  std::string sql{};
};

// Exit codes: 0 it would be carried out, as it stands or in steps; 1 it would be refused; 2 usage or
// configuration; 3 the database can't be read. The plan goes to `out`, problems to `err`.
int run_plan(const plan_options& options, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
