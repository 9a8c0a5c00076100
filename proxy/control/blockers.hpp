#pragma once
// Who stands in the way of a lock: the precheck of guarded DDL, and the DETAIL of its 55P03. SQL, parameters
// and decoding, for any querier. Needs pg_monitor to see other roles' sessions; what it can't see is said.

#include "policies/lock_level.hpp"
#include "proxy/control/querier.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace tidegate::control {

struct wanted_lock {
  std::uint32_t relation = 0;  // oid
  policies::lock_level level = policies::lock_level::access_exclusive;
};

enum class blocker_kind {
  session,            // a client's transaction
  autovacuum,         // ordinary: cancelled by the server after deadlock_timeout once it blocks someone
  wraparound_vacuum,  // autovacuum to prevent wraparound: does not yield
  prepared_transaction,
  background,  // parallel and logical workers, walsenders
};

struct blocker {
  blocker_kind kind = blocker_kind::session;
  std::int32_t pid = 0;  // 0: a prepared transaction
  std::string user, application, client_address;
  std::string state;  // "active", "idle in transaction", …; empty: not visible to the control role
  std::chrono::milliseconds transaction_age{0};
  std::chrono::milliseconds state_age{0};  // since the last statement started or ended
  std::string query;               // without literals and comments (sql::normalise), cut; empty: not visible
  std::string gid;                 // of a prepared transaction
  std::string relation;            // "schema.name" of the lock in the way
  std::string mode;                // "AccessShareLock"
  bool granted = true;             // false: it waits for its own lock, ahead of us
  bool visible = true;             // false: the role lacks pg_monitor and sees neither state nor query
  bool has_advisory_lock = false;  // a migration tool's lock, often (transitions.md §12)
};

struct blockers {
  std::vector<blocker> holders;  // the oldest transaction first
  std::chrono::milliseconds deadlock_timeout{1000};

  bool empty() const { return holders.empty(); }
};

// The holders of locks that conflict with any of those wanted, and those who wait for such a lock themselves,
// ahead of us (granted is false; they come last). `own_pids` (the client's server connection), who waits for
// a lock that one of these holds, and the asking connection are left out.
boost::asio::awaitable<outcome<blockers>> find_blockers(querier& source, std::vector<wanted_lock> wanted,
                                                        std::vector<std::int32_t> own_pids);

// Sessions of this database with a snapshot, for which a CREATE INDEX CONCURRENTLY of `pid` has to wait when
// it is older than its own; the oldest transaction first, statements of this moment included.
boost::asio::awaitable<outcome<blockers>> find_snapshot_holders(querier& source, std::int32_t pid);

// `pid 4711 app=report user=ann state="idle in transaction" 12m: select … from orders`
std::string describe(const blocker& who);
// "3s", "12m", "2h05m", "4d".
std::string human_duration(std::chrono::milliseconds duration);

}  // namespace tidegate::control
