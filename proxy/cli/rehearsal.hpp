#pragma once
// `tidegate check --rehearse`: runs migrations on a database that may be changed, a copy of the real one, as
// their tool sends them, through a gateway of the command's own, and tells of each message what it did and
// what others would have felt. It ends with the first message that fails, as tools do.

#include "policies/engine.hpp"
#include "proxy/cli/lock_watch.hpp"
#include "proxy/cli/migrations/file_names.hpp"
#include "proxy/cli/migrations/sections.hpp"
#include "proxy/cli/sql_client.hpp"

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli {

// What is sent at once.
struct migration_message {
  std::string file;
  int line = 1;  // where its first statement begins
  std::string sql;
  bool from_tool = false;  // BEGIN and COMMIT that no file has
};

struct table_scan {
  std::string table;
  std::int64_t rows = 0;  // read one after the other
};

struct rehearsed_message {
  migration_message message;
  std::chrono::milliseconds took{0};
  std::vector<std::string> notices;  // how the gateway went about it
  std::optional<server_message> error;
  std::vector<held_lock> locks;  // those that block writes or other schema changes
  std::vector<std::string>
      rewritten;  // "table public.orders", "index public.orders_pkey": their files are new
  std::vector<table_scan> scans;
  std::chrono::milliseconds reader_stall{0}, writer_stall{0};  // the longest, of the tables it locks
};

// The messages of a file's sections that run in the direction. Needs a deep stack
// (policies/sql/parse_stack.hpp).
std::vector<migration_message> messages_of(const std::string& file, std::string_view text,
                                           const std::vector<migrations::section>& sections,
                                           migrations::direction runs);

struct rehearsal_place {
  std::string database;  // connection URI or keywords
  std::string tool;      // whose messages they are, for hints in its words
  const policies::policy& policy;
};

// Needs a deep stack. Throws std::invalid_argument for a bad connection string, std::runtime_error when the
// database can't be reached.
std::vector<rehearsed_message> rehearse(const rehearsal_place& where,
                                        const std::vector<migration_message>& messages);

// Whether one was refused or failed.
bool has_failed(const std::vector<rehearsed_message>& messages);

// text: a paragraph per message and a last line that sums up. JSON: one object (docs/check.md).
void print_rehearsal_text(std::ostream& out, const std::vector<rehearsed_message>& messages);
void print_rehearsal_json(std::ostream& out, const std::vector<rehearsed_message>& messages);

}  // namespace tidegate::cli
