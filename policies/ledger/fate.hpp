#pragma once
// What becomes of the statements of one message when all of them succeed, by the statements around them.
// Pure.

#include "policies/sql/statement.hpp"

#include <cstdint>
#include <vector>

namespace tidegate::policies {

enum class fate : std::uint8_t {
  open,       // of the transaction that the message leaves behind; committed where it leaves none
  committed,  // by a COMMIT of the message
  undone,     // by a ROLLBACK of the message
  prepared,   // by a PREPARE TRANSACTION of the message
};

// Of each statement. A savepoint that the message does not set itself was set before all of it.
std::vector<fate> fates_of(const std::vector<sql::statement>& message);

}  // namespace tidegate::policies
