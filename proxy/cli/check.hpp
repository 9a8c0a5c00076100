#pragma once
// `tidegate check`: judges the statements of SQL files as the gateway would, without running them (but for
// --rehearse: rehearsal.hpp). It follows
// the file: transactions, settings, and what earlier statements made. Statements on lines of their own are
// messages of their own, as psql sends them; statements that share a line are taken for one message, as
// drivers send them. Files of migration tools are judged as their tool sends them (migrations/).

#include "policies/catalog.hpp"
#include "policies/fact_request.hpp"
#include "proxy/cli/migrations/layout.hpp"
#include "proxy/cli/migrations/sections.hpp"

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {
struct policy;
}

namespace tidegate::cli {

struct reported_file;

// As they stand on the command line; empty: not given.
struct check_options {
  std::string format = "text";       // text | json | sarif | github
  std::string server_version{};      // "15", "14.2" or server_version_num
  std::string database{};            // connection URI or keywords
  std::string config{};              // file whose policies apply
  std::string fail_on = "plan";      // warn | rewrite | plan | block
  bool trust_sizes = false;          // smallness is safety, as in the gateway
  std::string layout = "auto";       // auto, or the name of a migrations::layout
  bool down = false;                 // the down migrations instead of the up ones
  std::string rehearse{};            // URI of a database to run them on instead, for good
  std::string only{};                // file that lists which files to judge; "-": `in`
  std::vector<std::string> files{};  // files and folders; "-": `in`
};

// Exit codes: 0 nothing at or above fail_on (in a rehearsal: nothing failed), 1 something, 2 usage or
// configuration, 3 a file or the database can't be read, or a tool would refuse a file; what can be judged is
// reported all the same. Reports go to `out`, problems to `err`. Parses on a stack of its own; any thread.
int run_check(const check_options& options, std::istream& in, std::ostream& out, std::ostream& err);

// Facts for the names of a statement; without a database an empty snapshot.
using fact_source = std::function<policies::catalog_snapshot(const policies::fact_request&)>;

// One file's content, those of its sections that run in the direction. Needs a deep stack
// (policies/sql/parse_stack.hpp).
reported_file check_script(const std::string& file, std::string_view text,
                           const std::vector<migrations::section>& sections, migrations::direction runs,
                           const policies::policy& policy, const fact_source& facts);

}  // namespace tidegate::cli
