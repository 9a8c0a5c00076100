#pragma once
// What gateways in front of one database tell each other about their gates, as payloads of NOTIFY: at most
// 7,999 bytes, in any encoding of the server's, from whoever may connect to the database.
//
// A payload is a sequence of strings, each with its length before it ("3:abc"): version, verb, and what the
// verb needs. Names with bytes that the database's encoding does not have can't be sent by NOTIFY; they are
// the database's own names, so there are none.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tidegate::core {

// `id` of all three: who asks and which of its closures, "<gateway>-<number>".
struct gate_close {
  std::string id;
  std::chrono::milliseconds hold{0};  // from when it is read
  std::vector<std::string> names;     // as gate::close() takes them
  bool operator==(const gate_close&) const = default;
};
struct gate_open {
  std::string id;
  bool operator==(const gate_open&) const = default;
};
struct gate_closed {  // the answer to gate_close
  std::string id;
  bool operator==(const gate_closed&) const = default;
};
using gate_notice = std::variant<gate_close, gate_open, gate_closed>;

constexpr std::size_t longest_gate_notice = 7999;  // PostgreSQL's limit of a payload
constexpr std::chrono::milliseconds longest_gate_hold{60'000};

// The whole of a closure in as many payloads as it takes; one name at least in each. None: a name is too long
// to be one of PostgreSQL's.
std::vector<std::string> to_payloads(const gate_close& what);
std::string to_payload(const gate_open& what);
std::string to_payload(const gate_closed& what);

// None: it is nothing of this version.
std::optional<gate_notice> parse_gate_notice(std::string_view payload);

}  // namespace tidegate::core
