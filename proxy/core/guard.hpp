#pragma once
// The decisions of a guarded DDL, without I/O: when to look for blockers, when to try, how long to rest
// between tries, when to give up (transitions.md §12). guarded_ddl.cpp drives it: it does what next() says
// and reports what came of it.
//
//   precheck --blocked--> wait --> precheck … --free--> attempt --lock timeout--> rest --> precheck …
//
// Time and randomness come from outside. One per statement.

#include <chrono>
#include <cstdint>

namespace tidegate::core {

struct guard_limits {
  std::chrono::milliseconds wait_budget{60'000};  // all of it: prechecks, pauses and attempts
  std::chrono::milliseconds first_pause{
      100};  // doubled after each failed attempt, with jitter of half either way
  std::chrono::milliseconds longest_pause{10'000};
  std::chrono::milliseconds shortest_wait{20};  // between two prechecks while somebody blocks
  std::chrono::milliseconds longest_wait{250};
  std::chrono::milliseconds notice_every{1'000};
};

enum class guard_step : std::uint8_t { precheck, wait, attempt, rest, give_up, done };

class guard {
 public:
  using clock = std::chrono::steady_clock;

  guard(const guard_limits& limits, clock::time_point now)
      : limits_(limits), began_(now), last_notice_(now) {}

  struct action {
    guard_step step = guard_step::precheck;
    std::chrono::milliseconds duration{0};  // of wait and rest
    bool tell = false;                      // a NOTICE about who blocks is due
  };
  // What to do next; asked once before everything and after each report.
  action next(clock::time_point now, double random_unit);

  void found_blockers(bool any) { state_ = any ? state::blocked : state::clear; }
  // The precheck could not be made (no control connection, no rights): the attempt itself will tell.
  void precheck_failed() { state_ = state::clear; }
  void attempt_succeeded() { state_ = state::succeeded; }
  // 55P03, a deadlock, or the hold budget: worth another try.
  void attempt_timed_out();

  unsigned attempts() const { return attempts_; }
  std::chrono::milliseconds waited(clock::time_point now) const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
  }

 private:
  enum class state : std::uint8_t { begin, blocked, clear, trying, timed_out, rested, succeeded };

  bool due(clock::time_point now);

  guard_limits limits_;
  clock::time_point began_;
  clock::time_point last_notice_;
  state state_ = state::begin;
  unsigned attempts_ = 0;
  unsigned prechecks_ = 0;
};

}  // namespace tidegate::core
