#include "policies/lock_level.hpp"

#include <array>
#include <cstddef>

namespace tidegate::policies {

namespace {

struct words {
  std::string_view name, pg_locks, blocks;
};

// In the order of the enumeration.
constexpr std::array<words, 9> table = {{
    {"no table lock", "", "nothing"},
    {"ACCESS SHARE", "AccessShareLock", "DROP and other statements that need the table alone"},
    {"ROW SHARE", "RowShareLock", "statements that need the table for themselves"},
    {"ROW EXCLUSIVE", "RowExclusiveLock", "statements that need the table without writers"},
    {"SHARE UPDATE EXCLUSIVE", "ShareUpdateExclusiveLock", "schema changes and VACUUM"},
    {"SHARE", "ShareLock", "writes"},
    {"SHARE ROW EXCLUSIVE", "ShareRowExclusiveLock", "writes"},
    {"EXCLUSIVE", "ExclusiveLock", "writes and SELECT FOR UPDATE"},
    {"ACCESS EXCLUSIVE", "AccessExclusiveLock", "reads and writes"},
}};

constexpr std::uint16_t bit(lock_level level) {
  return static_cast<std::uint16_t>(1U << static_cast<unsigned>(level));
}
constexpr std::uint16_t from(lock_level level) {  // this mode and every stronger one
  return static_cast<std::uint16_t>(0x1FFU & ~(bit(level) - 1U));
}

// Which modes each mode conflicts with: table 13.2 of the manual.
constexpr std::array<std::uint16_t, 9> conflict_table = {
    0,
    bit(lock_level::access_exclusive),
    from(lock_level::exclusive),
    from(lock_level::share),
    from(lock_level::share_update_exclusive),
    static_cast<std::uint16_t>((from(lock_level::row_exclusive)) & ~bit(lock_level::share)),
    from(lock_level::row_exclusive),
    from(lock_level::row_share),
    from(lock_level::access_share),
};

}  // namespace

std::string_view name(lock_level level) {
  return table[static_cast<std::size_t>(level)].name;
}

std::string_view pg_locks_name(lock_level level) {
  return table[static_cast<std::size_t>(level)].pg_locks;
}

std::string_view what_it_blocks(lock_level level) {
  return table[static_cast<std::size_t>(level)].blocks;
}

bool conflicts(lock_level a, lock_level b) {
  return (conflict_table[static_cast<std::size_t>(a)] & bit(b)) != 0;
}

}  // namespace tidegate::policies
