#pragma once
// What a CREATE INDEX CONCURRENTLY is doing, and what it left behind. For NOTICEs with progress, for the
// check of validity afterwards and the look for an invalid leftover before. SQL and decoding, for any
// querier.

#include "proxy/control/querier.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct index_build_progress {
  std::string command;          // "CREATE INDEX CONCURRENTLY", "REINDEX CONCURRENTLY", …
  std::string phase;            // "building index: scanning table", "waiting for old snapshots", …
  std::string relation, index;  // "schema.name"; index is empty at the start
  std::optional<double> done;   // 0…1 of the phase, by blocks or tuples
  std::int64_t lockers_done = 0, lockers_total = 0;
  std::int32_t waits_for_pid = 0;  // current_locker_pid; 0: nobody
};

// Of the backend `pid`; none: it builds nothing now.
boost::asio::awaitable<outcome<std::optional<index_build_progress>>> read_index_build_progress(
    querier& source, std::int32_t pid);

struct index_state {
  std::uint32_t oid = 0, table_oid = 0;
  std::string schema, name, table;  // table: "schema.name"
  bool valid = true, ready = true, live = true;
  bool unique = false;
  bool concurrent_leftover =
      false;                 // named …_ccnew or …_ccold (with digits after): from a REINDEX CONCURRENTLY
  bool being_built = false;  // a backend works on it right now
};

// The index of that name in that schema (both as the catalog spells them); none: there is none.
boost::asio::awaitable<outcome<std::optional<index_state>>> find_index(querier& source, std::string schema,
                                                                       std::string name);
// All indexes of a table that are not valid.
boost::asio::awaitable<outcome<std::vector<index_state>>> invalid_indexes(querier& source,
                                                                          std::uint32_t table_oid);

}  // namespace tidegate::control
