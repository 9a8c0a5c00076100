#pragma once
// The gateway's log: events with named fields, one line each, as logfmt or JSON.
//
//   log::warning<"client_refused">({{"reason", reason}, {"client", address}});
//
// Fields are names, numbers, addresses and SQLSTATEs. Text that a person wrote as a statement, parameters,
// passwords and server messages that may quote them are never handed to the log.
//
// Any thread may log; a line is formatted by the caller and written by a thread of its own behind a bounded
// queue (the oldest lines are lost when it is full, so a stuck pipe stalls nobody). Below the configured
// level a call costs one relaxed load. Not for signal handlers: signals arrive through Asio.

#include "config/settings.hpp"
#include "proxy/log/event.hpp"

#include <initializer_list>

namespace tidegate::log {

using config::log_level;

// Opens the target and makes it current; also on reload. On failure throws std::runtime_error (the reason and
// the file) and the old target stays. Before the first call lines at info and above go to stderr as logfmt.
void configure(const config::log_settings& settings);

// Opens the log file again under its name, for log rotation; nothing happens for stderr.
void reopen();

// Writes one line for each event that was suppressed and has not come again since: call it every few seconds.
void report_suppressed();

// Everything logged so far is with the kernel when it returns. The end of the process calls it, and tests.
void flush();

namespace detail {
extern std::atomic<log_level> lowest_level;
void write(log_level level, event_state& event, std::initializer_list<field> fields);
}  // namespace detail

inline bool is_enabled(log_level level) noexcept {
  return level >= detail::lowest_level.load(std::memory_order_relaxed);
}

template <event_name name>
void debug(std::initializer_list<field> fields = {}) {
  if (is_enabled(log_level::debug)) detail::write(log_level::debug, state_of<name>, fields);
}
template <event_name name>
void info(std::initializer_list<field> fields = {}) {
  if (is_enabled(log_level::info)) detail::write(log_level::info, state_of<name>, fields);
}
template <event_name name>
void warning(std::initializer_list<field> fields = {}) {
  if (is_enabled(log_level::warning)) detail::write(log_level::warning, state_of<name>, fields);
}
template <event_name name>
void error(std::initializer_list<field> fields = {}) {
  if (is_enabled(log_level::error)) detail::write(log_level::error, state_of<name>, fields);
}

}  // namespace tidegate::log
