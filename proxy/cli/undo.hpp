#pragma once
// `tidegate undo`: what takes a schema change of the ledger back, as SQL to be read and run by whoever asked.
// Runs nothing.

#include <iosfwd>
#include <string>

namespace tidegate::cli {

// As they stand on the command line.
struct undo_options {
  std::string database;  // connection URI or keywords
  std::string id;        // in tidegate.ddl; empty: the newest are listed
};

// Exit codes: 0 the SQL or the list was printed; 1 there is no such change, or no inverse of it; 2 usage; 3
// the ledger can't be read. The SQL goes to `out`, warnings and problems to `err`.
int run_undo(const undo_options& options, std::ostream& out, std::ostream& err);

}  // namespace tidegate::cli
