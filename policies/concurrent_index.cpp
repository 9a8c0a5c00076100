#include "policies/concurrent_index.hpp"

#include <algorithm>
#include <cstddef>

namespace tidegate::policies {

bool may_run_concurrently(const session_facts& session) {
  return !session.in_transaction && session.alone_in_message;
}

bool builds_concurrently_safely(int server_version) {
  return server_version < 140000 || server_version > 140003;
}

std::string with_concurrently(const rule_input& input, sql::position position) {
  const auto size = static_cast<sql::position>(input.text.size());
  const auto begin = std::clamp(input.statement.range.begin, 0, size);
  const auto end = std::clamp(input.statement.range.end, begin, size);
  const auto middle = std::clamp(position, begin, end);
  const auto piece = [&](sql::position from, sql::position to) {
    return std::string(
        input.text.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)));
  };
  if (position < 0) return piece(begin, end) + ";";
  return piece(begin, middle) + " CONCURRENTLY" + piece(middle, end) + ";";
}

std::string why_not_concurrently(const rule_input& input) {
  if (!builds_concurrently_safely(input.catalog.server_version))
    return "-- not on PostgreSQL 14.0 to 14.3, where CONCURRENTLY may corrupt indexes: first go to 14.4 or "
           "later";
  if (input.session.in_transaction) return "-- outside the transaction:";
  if (!input.session.alone_in_message) return "-- alone in its message:";
  return {};
}

}  // namespace tidegate::policies
