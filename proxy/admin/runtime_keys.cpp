#include "proxy/admin/runtime_keys.hpp"

#include "config/quantity.hpp"
#include "config/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <utility>

namespace tidegate::admin {
namespace {

using config::settings;
using std::chrono::milliseconds;

std::string text_of(milliseconds value) {
  const auto count = value.count();
  if (count == 0) return "0";
  for (const auto& [unit, size] : {std::pair{"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}}) {
    if (count % size == 0) return std::to_string(count / size) + unit;
  }
  return std::to_string(count) + "ms";
}
template <std::same_as<bool> Bool>  // nothing that converts to one
std::string text_of(Bool value) {
  return value ? "true" : "false";
}
std::string text_of(unsigned value) {
  return std::to_string(value);
}
std::string text_of(std::int64_t value) {
  return std::to_string(value);
}
std::string text_of(std::size_t value) {
  return std::to_string(value);
}
template <typename Enum>
requires std::is_enum_v<Enum> std::string text_of(Enum value) {
  return std::string(config::word(value));
}
std::string text_of(const std::string& value) {
  return value;
}

// What may be written, beyond what the type says.
enum class bound : std::uint8_t { none, not_zero };

std::string take(milliseconds& to, std::string_view text, bound at_least) {
  const auto value = config::parse_duration(text);
  if (!value || (at_least == bound::not_zero && value->count() == 0))
    return at_least == bound::not_zero ? "a duration above 0 with its unit: 50ms, 1.5s, 5min"
                                       : "a duration with its unit: 50ms, 1.5s, 5min, or 0";
  to = *value;
  return {};
}

std::string take(unsigned& to, std::string_view text, bound at_least) {
  unsigned value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const unsigned lowest = at_least == bound::not_zero ? 1 : 0;
  if (error != std::errc() || stopped != text.data() + text.size() || value < lowest || value > 1'000'000)
    return "a number from " + std::to_string(lowest) + " to 1000000";
  to = value;
  return {};
}

std::string take(bool& to, std::string_view text, bound) {
  if (text != "true" && text != "false") return "true or false";
  to = text == "true";
  return {};
}

template <typename Enum>
requires std::is_enum_v<Enum> std::string take(Enum& to, std::string_view text, bound) {
  if (const auto value = config::parse_word<Enum>(text)) {
    to = *value;
    return {};
  }
  std::string words;
  for (const std::string_view each : config::words_of<Enum>)
    words += (words.empty() ? "" : ", ") + std::string(each);
  return "one of " + words;
}

// One line for a member that is read and, where there is a bound, written.
#define TIDEGATE_SHOWN(name, member)                          \
  runtime_key {                                               \
    name, [](const settings& s) { return text_of(s.member); } \
  }
#define TIDEGATE_CHANGEABLE(name, member, at_least)                                                \
  runtime_key {                                                                                    \
    name, [](const settings& s) { return text_of(s.member); },                                     \
        [](settings& s, std::string_view value) { return take(s.member, value, bound::at_least); } \
  }

constexpr auto keys = std::to_array<runtime_key>({
    TIDEGATE_SHOWN("threads", threads),
    TIDEGATE_SHOWN("relay", relay),
    TIDEGATE_CHANGEABLE("limits.max_clients", limits.max_clients, not_zero),
    TIDEGATE_CHANGEABLE("limits.max_clients_per_database", limits.max_clients_per_database, none),
    TIDEGATE_CHANGEABLE("limits.max_clients_per_user", limits.max_clients_per_user, none),
    TIDEGATE_SHOWN("limits.query_buffer", limits.query_buffer),
    TIDEGATE_SHOWN("limits.parse_bytes", limits.parse_bytes),
    TIDEGATE_CHANGEABLE("timeouts.login", timeouts.login, not_zero),
    TIDEGATE_CHANGEABLE("timeouts.client_idle", timeouts.client_idle, none),
    TIDEGATE_CHANGEABLE("timeouts.idle_in_transaction", timeouts.idle_in_transaction, none),
    TIDEGATE_CHANGEABLE("timeouts.query", timeouts.query, none),
    TIDEGATE_CHANGEABLE("timeouts.query_wait", timeouts.query_wait, none),
    TIDEGATE_CHANGEABLE("timeouts.server_connect", timeouts.server_connect, not_zero),
    TIDEGATE_CHANGEABLE("timeouts.cancel", timeouts.cancel, not_zero),
    TIDEGATE_CHANGEABLE("timeouts.shutdown", timeouts.shutdown, none),
    TIDEGATE_CHANGEABLE("policies.mode", policies.policy.mode, none),
    TIDEGATE_CHANGEABLE("policies.ddl_mode", policies.policy.ddl_mode, none),
    TIDEGATE_SHOWN("policies.on_unparsable", policies.policy.on_unparsable),
    TIDEGATE_SHOWN("policies.small_table.rows", policies.policy.small_table_rows),
    TIDEGATE_SHOWN("policies.small_table.bytes", policies.policy.small_table_bytes),
    TIDEGATE_CHANGEABLE("policies.new_relation_window", policies.new_relation_window, none),
    TIDEGATE_CHANGEABLE("policies.ledger", policies.ledger, none),
    TIDEGATE_CHANGEABLE("locks.lock_timeout", locks.lock_timeout, not_zero),
    TIDEGATE_CHANGEABLE("locks.ddl_wait_budget", locks.ddl_wait_budget, not_zero),
    TIDEGATE_CHANGEABLE("locks.stall_budget", locks.stall_budget, not_zero),
    TIDEGATE_CHANGEABLE("locks.hold_budget", locks.hold_budget, not_zero),
    TIDEGATE_CHANGEABLE("locks.transaction_wait_budget", locks.transaction_wait_budget, not_zero),
    TIDEGATE_CHANGEABLE("locks.transaction_hold_budget", locks.transaction_hold_budget, not_zero),
    TIDEGATE_CHANGEABLE("locks.precheck_age", locks.precheck_age, not_zero),
    TIDEGATE_CHANGEABLE("locks.share_gate", locks.share_gate, none),
    TIDEGATE_CHANGEABLE("log.level", log.level, none),
    TIDEGATE_SHOWN("log.format", log.format),
    TIDEGATE_SHOWN("log.file", log.file),
    TIDEGATE_SHOWN("audit.file", audit.file),
    TIDEGATE_SHOWN("auth.user_file", auth.user_file),
    // under PgBouncer's names, for exporters
    TIDEGATE_SHOWN("max_client_conn", limits.max_clients),
    TIDEGATE_SHOWN("max_db_client_connections", limits.max_clients_per_database),
    TIDEGATE_SHOWN("max_user_client_connections", limits.max_clients_per_user),
    runtime_key{"max_user_connections", [](const settings&) { return std::string("0"); }},
});

#undef TIDEGATE_SHOWN
#undef TIDEGATE_CHANGEABLE

}  // namespace

std::span<const runtime_key> runtime_keys() {
  return keys;
}

const runtime_key* find_runtime_key(std::string_view name) {
  const auto found = std::ranges::find(keys, name, &runtime_key::name);
  return found == keys.end() ? nullptr : &*found;
}

}  // namespace tidegate::admin
