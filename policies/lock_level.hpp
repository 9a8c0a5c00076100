#pragma once
// PostgreSQL's table lock modes, in its own order:
// https://www.postgresql.org/docs/current/explicit-locking.html

#include <cstdint>
#include <string_view>

namespace tidegate::policies {

enum class lock_level : std::uint8_t {
  none = 0,
  access_share = 1,
  row_share = 2,
  row_exclusive = 3,
  share_update_exclusive = 4,
  share = 5,
  share_row_exclusive = 6,
  exclusive = 7,
  access_exclusive = 8,
};

// "ACCESS EXCLUSIVE"; "no table lock" for none.
std::string_view name(lock_level level);
// As pg_locks.mode spells it: "AccessExclusiveLock".
std::string_view pg_locks_name(lock_level level);
// What other sessions can't do meanwhile, in words: "reads and writes", "writes", "schema changes and
// VACUUM".
std::string_view what_it_blocks(lock_level level);
// The conflict table of the manual.
bool conflicts(lock_level a, lock_level b);
// Writes wait for it: SHARE and above. Such locks are taken only by guarded DDL.
constexpr bool blocks_writes(lock_level level) {
  return level >= lock_level::share;
}

}  // namespace tidegate::policies
