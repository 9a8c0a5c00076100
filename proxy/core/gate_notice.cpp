#include "proxy/core/gate_notice.hpp"

#include <charconv>
#include <system_error>
#include <utility>

namespace tidegate::core {
namespace {

constexpr std::string_view version = "1";
constexpr std::string_view close_verb = "close", open_verb = "open", closed_verb = "closed";
constexpr std::size_t longest_id = 64;

void put(std::string& to, std::string_view text) {
  to += std::to_string(text.size());
  to += ':';
  to += text;
}

std::string begun(std::string_view verb, std::string_view id) {
  std::string out;
  put(out, version);
  put(out, verb);
  put(out, id);
  return out;
}

std::optional<std::string_view> take(std::string_view& from) {
  std::size_t length = 0;
  const auto read = std::from_chars(from.data(), from.data() + from.size(), length);
  const auto digits = static_cast<std::size_t>(read.ptr - from.data());
  if (read.ec != std::errc() || digits == from.size() || from[digits] != ':') return std::nullopt;
  from.remove_prefix(digits + 1);
  if (length > from.size()) return std::nullopt;
  const std::string_view text = from.substr(0, length);
  from.remove_prefix(length);
  return text;
}

std::optional<gate_notice> read_close(std::string id, std::string_view rest) {
  const auto hold = take(rest);
  if (!hold) return std::nullopt;
  long ms = 0;
  const auto read = std::from_chars(hold->data(), hold->data() + hold->size(), ms);
  if (read.ec != std::errc() || read.ptr != hold->data() + hold->size()) return std::nullopt;
  if (ms <= 0 || ms > longest_gate_hold.count()) return std::nullopt;
  gate_close what{.id = std::move(id), .hold = std::chrono::milliseconds(ms), .names = {}};
  while (!rest.empty()) {
    const auto name = take(rest);
    if (!name || name->empty()) return std::nullopt;
    what.names.emplace_back(*name);
  }
  if (what.names.empty()) return std::nullopt;
  return what;
}

}  // namespace

std::vector<std::string> to_payloads(const gate_close& what) {
  std::string head = begun(close_verb, what.id);
  put(head, std::to_string(what.hold.count()));
  std::vector<std::string> payloads;
  for (const std::string& name : what.names) {
    std::string item;
    put(item, name);
    if (head.size() + item.size() > longest_gate_notice) return {};
    if (payloads.empty() || payloads.back().size() + item.size() > longest_gate_notice)
      payloads.push_back(head);
    payloads.back() += item;
  }
  return payloads;
}

std::string to_payload(const gate_open& what) {
  return begun(open_verb, what.id);
}

std::string to_payload(const gate_closed& what) {
  return begun(closed_verb, what.id);
}

std::optional<gate_notice> parse_gate_notice(std::string_view payload) {
  const auto which = take(payload);
  if (!which || *which != version) return std::nullopt;
  const auto verb = take(payload);
  const auto id = take(payload);
  if (!verb || !id || id->empty() || id->size() > longest_id) return std::nullopt;
  if (*verb == close_verb) return read_close(std::string(*id), payload);
  if (!payload.empty()) return std::nullopt;
  if (*verb == open_verb) return gate_open{std::string(*id)};
  if (*verb == closed_verb) return gate_closed{std::string(*id)};
  return std::nullopt;
}

}  // namespace tidegate::core
