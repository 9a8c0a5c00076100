#pragma once
// The last findings, for SHOW FINDINGS: a ring in memory that is fed where the audit log is told, so it has
// no literals. Bounded in number and in the length of each text. Any thread.

#include "proxy/audit/audit_record.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::admin {

struct recent_finding {
  std::chrono::system_clock::time_point time;
  std::string client, database, user, application;
  std::string rule;
  policies::verdict verdict = policies::verdict::allow;  // of the rule
  std::string_view action;                               // what was done, as the audit log says it
  std::string_view outcome;
  std::string sqlstate, lock, relations, message, statement;
};

class recent_findings {
 public:
  static constexpr std::size_t capacity = 500;
  static constexpr std::size_t longest_text = 1024;

  // One entry for each finding of the record; without findings nothing is kept.
  void add(const audit::audit_record& record);
  // The newest first.
  std::vector<recent_finding> list() const;

 private:
  mutable std::mutex mutex_;
  std::deque<recent_finding> ring_;  // the newest last
};

}  // namespace tidegate::admin
