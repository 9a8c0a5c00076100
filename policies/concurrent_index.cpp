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
  const sql::text_range whole = input.statement.range;
  if (position < 0) return std::string(whole.in(input.text)) + ";";
  const sql::position middle = std::clamp(position, whole.begin, std::max(whole.begin, whole.end));
  const sql::text_range before{whole.begin, middle}, behind{middle, whole.end};
  return std::string(before.in(input.text)) + " CONCURRENTLY" + std::string(behind.in(input.text)) + ";";
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
