#include "proxy/log/event.hpp"

#include "proxy/log/json.hpp"

#include <cmath>

#include <fmt/format.h>

namespace tidegate::log {
namespace {

constexpr std::size_t longest_string = 1024;

bool needs_quotes(std::string_view text) {
  return text.empty() || std::ranges::any_of(text, [](char c) {
           return c <= ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) >= 0x7F;
         });
}

void append_value(std::string& out, config::log_format format, const field& f) {
  const auto* text = std::get_if<std::string_view>(&f.value);
  if (text != nullptr) {
    const std::string_view shown = utf8_prefix(*text, longest_string);
    if (format == config::log_format::json || needs_quotes(shown)) {
      append_json_string(out, shown);
    } else {
      out += shown;
    }
    return;
  }
  if (const double* number = std::get_if<double>(&f.value); number != nullptr && !std::isfinite(*number)) {
    out += "null";  // JSON has no word for it
    return;
  }
  std::visit([&](const auto& value) { fmt::format_to(std::back_inserter(out), "{}", value); }, f.value);
}

}  // namespace

std::optional<std::uint64_t> event_state::admit(std::chrono::steady_clock::time_point now) {
  const std::int64_t window = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  std::int64_t seen = window_.load(std::memory_order_relaxed);
  if (seen != window && window_.compare_exchange_strong(seen, window, std::memory_order_relaxed)) {
    written_.store(0, std::memory_order_relaxed);
  }
  if (written_.fetch_add(1, std::memory_order_relaxed) < lines_per_second) {
    return suppressed_.exchange(0, std::memory_order_relaxed);
  }
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return std::nullopt;
}

std::string format_fields(config::log_format format, std::string_view event,
                          std::initializer_list<field> fields, std::uint64_t suppressed) {
  const bool json = format == config::log_format::json;
  std::string out;
  auto append = [&](const field& f) {
    if (!out.empty()) out += json ? ',' : ' ';
    if (json) {
      append_json_string(out, f.name);
      out += ':';
    } else {
      out += f.name;
      out += '=';
    }
    append_value(out, format, f);
  };
  append({"event", event});
  for (const field& f : fields) append(f);
  if (suppressed > 0) append({"suppressed", suppressed});
  return out;
}

}  // namespace tidegate::log
