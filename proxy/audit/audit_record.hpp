#pragma once
// One decision about a statement, as the audit log tells it: who, from where, what, found what, did what,
// with what result. Texts are given without literals: the caller normalises them.

#include "policies/finding.hpp"
#include "policies/verdict.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::audit {

// What the gateway did about the verdict.
enum class action_taken : std::uint8_t {
  forwarded,   // sent as it was
  warned,      // sent, with a NOTICE
  guarded,     // run with precheck, gate, lock_timeout and retry
  rewritten,   // run as another statement
  planned,     // carried out in steps
  postponed,   // answered, and carried out by the gateway itself afterwards
  refused,     // answered with an ErrorResponse
  overridden,  // run because of an override comment
  observed,    // mode observe: sent as it was, `verdict` says what would have happened
  clamped,     // a setting was brought to the policy's bound
  ended,       // the gateway ended a transaction or a connection
  commanded,   // a command of the admin console was carried out
};

enum class outcome : std::uint8_t {
  succeeded,
  failed,   // the server or the gateway answered with an error: `sqlstate`
  unknown,  // the connection ended before the answer
};

// As the log writes them; static storage.
std::string_view word(action_taken action);
std::string_view word(outcome result);

struct audit_record {
  std::chrono::system_clock::time_point time;  // of the decision
  std::string client;                          // address and port, or "local"
  std::string database;
  std::string user;
  std::string application_name;
  std::string statement;  // normalised; cut to 8 KiB when written
  std::vector<policies::finding> findings;
  policies::verdict verdict = policies::verdict::allow;
  action_taken action = action_taken::forwarded;
  outcome result = outcome::unknown;
  std::string sqlstate;  // of an error; empty: none
  std::chrono::microseconds duration{0};
  unsigned attempts = 0;
  std::chrono::microseconds lock_wait{0};
  std::vector<std::pair<std::string, std::string>> tags;  // sqlcommenter
  std::string override_reason;
};

// One JSON object in one line, with its newline. Fields that are empty or do not apply are left out.
std::string to_json_line(const audit_record& record);

}  // namespace tidegate::audit
