#pragma once
// Table tidegate.ddl of a database (gateway_schema.hpp): a row for each schema change that went through a
// gateway, with what takes it back. docs/ledger.md has the columns.

#include "policies/ledger/inverse.hpp"
#include "proxy/control/querier.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

enum class ddl_outcome : std::uint8_t {
  done,
  prepared,  // it waits for COMMIT PREPARED
  stopped,   // a plan: some of its steps stand
  failed,    // with CONCURRENTLY: an invalid index or a pending detach may stand
  unknown,   // the connection was lost before it could be told
};
std::string_view word(ddl_outcome outcome);

// Texts of any encoding and length: what is written is valid UTF-8, and cut.
struct ddl_entry {
  std::chrono::system_clock::time_point begun;
  std::chrono::microseconds duration{0}, lock_wait{0};
  ddl_outcome outcome = ddl_outcome::done;
  std::string login, role, application, client;  // role: the effective one
  std::int32_t backend_pid = 0;
  std::string statement;                                  // without literals
  std::string command;                                    // its tag
  std::vector<std::pair<std::string, std::string>> tags;  // sqlcommenter
  std::vector<std::string> findings;                      // rules
  std::string verdict, action;                            // as the audit log has them
  std::int64_t plan = 0;                                  // tidegate.plan; 0: none
  unsigned attempts = 0;
  bool in_transaction = false;
  std::vector<std::string> locks;  // "ACCESS EXCLUSIVE on public.t"
  std::vector<std::string> relations;
  policies::inverse undo;
};

// Bytes that it takes while it waits, about.
std::size_t memory_of(const ddl_entry& entry);

// Makes the table if need be and writes the rows, each its own transaction: an outcome for each.
boost::asio::awaitable<std::vector<outcome<query_result>>> record_ddl(querier& source,
                                                                      const std::vector<ddl_entry>& entries);

// A row as it is read: every cell is text.
struct ledger_row {
  std::int64_t id = 0;
  std::string begun, duration, outcome, login, role, application, client, statement, command, findings,
      action;
  std::int64_t plan = 0;
  std::string locks, undo, lost, why_not;
};

// The newest `most` rows, newest first. Without the table, or where others may write it, an error (55000).
boost::asio::awaitable<outcome<std::vector<ledger_row>>> read_ledger(querier& source, std::size_t most);

// One row, and what the ledger has of the same relations since, oldest first, at most 20. No rows: there is
// no such id.
struct ledger_answer {
  std::vector<ledger_row> row, later;
  std::vector<std::string> step_undo;  // of a plan that was stopped: in the order in which to run it
};
boost::asio::awaitable<outcome<ledger_answer>> find_in_ledger(querier& source, std::int64_t id);

}  // namespace tidegate::control
