#pragma once
// What a text changes of lock_timeout by itself. A statement that is guarded among others shares its message
// with such changes, and they would take its bound away.

#include "policies/sql/statement.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::policies {

struct lock_timeout_changes {
  struct set {
    sql::text_range range;  // of the statement
    bool local = false;
  };
  std::vector<set> sets;  // SET [LOCAL] lock_timeout, in the order of the text
  std::string beyond;     // a statement that may change it in another way, in words; empty: there is none
};

lock_timeout_changes find_lock_timeout_changes(const std::vector<sql::statement>& statements);

// The text with each of the SETs replaced by one of `value` (as "50ms"), which gives the same command tag.
std::string with_lock_timeout(std::string_view text, const std::vector<lock_timeout_changes::set>& sets,
                              std::string_view value);

}  // namespace tidegate::policies
