#pragma once
// CREATE INDEX, DROP INDEX and REINDEX carried out with CONCURRENTLY (concurrent_build.hpp), and the client
// told. The one rewrite that needs no planner.

#include "policies/engine.hpp"
#include "policies/sql/parse.hpp"
#include "proxy/session/server_dialogue.hpp"

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::session {

class client_session;
class interception;

class concurrent_index {
 public:
  concurrent_index(interception& of, const sql::statement& statement, const policies::decision& decision);

  enum class answer : std::uint8_t {
    yes,
    no_refuse,  // CONCURRENTLY can't be had here (a transaction, several statements, 14.0 to 14.3) and the
                // statement blocks: refused
    no_guard,   // CONCURRENTLY can't be had, but the lock is short: guarded
  };
  answer possible() const;
  boost::asio::awaitable<void> run();

  // The client wrote CONCURRENTLY itself: only its session's lock_timeout is kept from leaving an invalid
  // index.
  static bool is_concurrent(const sql::parsed& parsed);
  static boost::asio::awaitable<void> run_as_written(interception& of);

 private:
  bool comes_back() const;
  std::string name_to_make() const;

  interception& of_;
  client_session& session_;
  server_dialogue& server_;
  const sql::statement& statement_;
  const policies::decision& decision_;
  sql::position splice_at_ = -1;
  std::uint32_t table_oid_ = 0;
  std::string table_;
  bool builds_ = true;  // false: DROP INDEX
};

}  // namespace tidegate::session
